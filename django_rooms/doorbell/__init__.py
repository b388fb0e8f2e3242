"""The channel layer is the doorbell: ringing it, hearing it, and noticing that it went deaf."""
