// Inputs and rows are whole blocks that start at quads, as those of nearly all models: what else there is to do is then left out. It
// fills a block by numbers that are not known before, for which some drivers keep all blocks in memory.
override WHOLE: bool = false;
