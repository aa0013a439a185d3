"""The atlas: a static web page on which all prototypes of a study can be looked at."""
