"""The sample app: paper trading in memory, which knows of Kafka and PostgreSQL only the shim.

python -m compose.trading_app --help
"""
