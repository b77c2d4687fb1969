"""The report as a person sees it: text for a terminal or a pipe, and one self-contained HTML page. Nothing is decided here."""
