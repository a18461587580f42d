"""Where a survey's files come from: public servers, or a folder of one's own."""
