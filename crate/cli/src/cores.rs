//! How many threads are worth having: one for each core, not for each of the two that a core may pass for.

use std::collections::HashSet;
use std::fs::read_to_string;
use std::thread::available_parallelism;

/// Above this, threads wait for each other longer than they help.
const MOST: usize = 16;

/// Cores that this process may use, as far as the system tells.
pub(crate) fn cores() -> usize {
    let threads = available_parallelism().map_or(1, usize::from);
    // Linux lists those that share a core; elsewhere each is taken for one.
    let core = |i: usize| read_to_string(format!("/sys/devices/system/cpu/cpu{i}/topology/thread_siblings_list")).ok();
    let lists: HashSet<String> = (0..).map_while(core).collect();
    if lists.is_empty() { threads.min(MOST) } else { threads.min(lists.len()).min(MOST) }
}
