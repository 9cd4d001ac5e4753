-- The workers' settings: units, defaults, limits, when they take effect.
SELECT name, setting, unit, min_val, max_val, context, short_desc
FROM pg_settings
WHERE name LIKE 'mesh\_outbox.%' AND context = 'sighup' AND name <> 'mesh_outbox.fault'
ORDER BY name;

SET mesh_outbox.restart_delay = '2s';
ALTER SYSTEM SET mesh_outbox.restart_delay = '10ms';
ALTER SYSTEM SET mesh_outbox.heartbeat_interval = 'often';
ALTER SYSTEM SET mesh_outbox.no_such_thing = 1;
