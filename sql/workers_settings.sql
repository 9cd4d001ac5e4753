-- The workers' settings: units, defaults, limits, when they take effect.
SELECT name, setting, unit, min_val, max_val, context, short_desc
FROM pg_settings
WHERE name LIKE 'mesh\_outbox.%' AND context = 'sighup' AND name <> 'mesh_outbox.fault'
ORDER BY name;

SET mesh_outbox.restart_delay = '2s';
-- The server's words for a limit differ by version, its SQLSTATE does not.
\set VERBOSITY sqlstate
ALTER SYSTEM SET mesh_outbox.restart_delay = '10ms';
\set VERBOSITY default
ALTER SYSTEM SET mesh_outbox.heartbeat_interval = 'often';
SET mesh_outbox.no_such_thing = 1;
