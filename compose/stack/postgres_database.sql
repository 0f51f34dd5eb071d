-- A statement of its own: a database cannot be created inside a transaction.
CREATE DATABASE memferry OWNER memferry;
