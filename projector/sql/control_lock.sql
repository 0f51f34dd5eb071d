-- One reader and one decider of the control topic at a time: its order is the order of decisions.
SELECT pg_advisory_xact_lock(hashtextextended('memferry control ' || %s, 0))
