"""Where images come from: the procedural set, STL-10, CIFAR-10, or a folder of the user's own."""
