"""What a notebook does with the checkpoints of a network, from its prototypes to the page that shows them."""
