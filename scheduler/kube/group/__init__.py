"""From pods to gangs: how a pod finds its group, what the group demands, why it waits."""
