"""GPU fragmentation on Alibaba's published traces: single tasks with whole GPUs or shares of one, placed one by one by several rules."""
