"""Not here: importing it says what to use in its place."""

raise ImportError(
    "microgradnet writes no TensorBoard files. tensorboardX has a SummaryWriter that takes floats and ndarrays: "
    "add_scalar('loss', loss.item(), step); or microgradnet.viz.curves draws a history"
)
