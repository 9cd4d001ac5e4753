\echo Use "CREATE EXTENSION mesh_outbox" to load this file. \quit
