"""What people answer to a page elsewhere – in PagerDuty, with a button in Slack – comes back as events of the log."""
