// The engine's worker, whose use of the GPU is counted.

import './count.js';
import '../worker.js';
