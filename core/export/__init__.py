"""What a developer for phones or the web needs of a model, in one folder that needs nothing of this project."""
