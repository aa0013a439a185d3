"""The atlas: a static web page that shows all prototypes of a study."""
