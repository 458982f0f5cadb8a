"""The daily digest: from the events of a day to its model, and the model as mail and as a Slack message. Pure."""
