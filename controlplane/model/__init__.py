"""What things are: time, units, money, labels, rules, alerts, recommendations, resources, events."""
