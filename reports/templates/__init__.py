"""Templates of the reports that are made with jinja2."""
