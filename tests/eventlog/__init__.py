"""The write side, from one mutation to the bytes in Kafka."""
