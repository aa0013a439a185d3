"""What people look at: figures, the atlas, tables and the dataset card."""
