"""The way of the tables from each version to the next; alembic reads it, and only where the tables are old.

Each step is written for the day it was made and never changed: it imports nothing of ours, so that it stays true
when the tables of `schema` have gone on.
"""
