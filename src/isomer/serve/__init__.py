"""The local web page and the HTTP API: one application, one queue, one process that segments."""
