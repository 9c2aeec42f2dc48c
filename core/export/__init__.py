"""What a phone's or a web page's developer needs of a model, in one folder that needs nothing of this project."""
