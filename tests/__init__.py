"""The tests mirror the rooms; journeys, contracts and faults run on real Kafka and PostgreSQL."""
