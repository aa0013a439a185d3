"""The responses of units to images: natural images and other epochs' prototypes."""
