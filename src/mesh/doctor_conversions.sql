/* src/mesh/doctor_conversions.sql: conversions that do not convert */

CREATE FUNCTION mesh_outbox.doctor_conversions()
    RETURNS TABLE (severity text, domain text, object text, problem text, remedy text)
    LANGUAGE sql STABLE ROWS 1
    SET search_path = pg_catalog, pg_temp
    BEGIN ATOMIC
        SELECT 'error', p.domain, format('conversion of %s %s from %s to %s', v.product, v.event_type, v.from_major, v.to_major),
               'its function is gone or not immutable any more: INSERTs of the newer major are refused',
               format('CREATE OR REPLACE FUNCTION %s(jsonb) RETURNS jsonb IMMUTABLE …', v.function)
        FROM mesh_outbox.conversions v JOIN mesh_outbox.product p ON p.name = v.product
        JOIN mesh_outbox.conversion c USING (conversion_id)
        WHERE v.in_use
          AND NOT EXISTS (SELECT FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
                          WHERE n.nspname = c.schema_name AND f.proname = c.function AND f.provolatile = 'i'
                            AND f.prorettype = 'jsonb'::regtype
                            AND f.pronargs = 1 AND f.proargtypes[0] = 'jsonb'::regtype)
        UNION ALL
        SELECT 'error', p.domain, format('conversion of %s %s from %s to %s', v.product, v.event_type, v.from_major, v.to_major),
               format('outbox %s does not convert: consumers of the older major do not get its events', o.relation),
               format('SELECT mesh_outbox.drop_conversion(%1$L, %2$L, %3$s, %4$s, force_reason => ''…''); '
                      'SELECT mesh_outbox.register_conversion(%1$L, %2$L, %3$s, %4$s, %5$L);',
                      v.product, v.event_type, v.from_major, v.to_major, v.function)
        FROM mesh_outbox.conversions v JOIN mesh_outbox.product p ON p.name = v.product
        JOIN mesh_outbox.outbox o ON o.product = v.product JOIN pg_class r ON r.oid = o.relation
        WHERE v.in_use
          AND NOT EXISTS (SELECT FROM pg_trigger t
                          WHERE t.tgrelid = o.relation AND t.tgname = 'mesh_outbox_convert_' || v.conversion_id
                            AND t.tgenabled IN ('O', 'A'));
    END;
COMMENT ON FUNCTION mesh_outbox.doctor_conversions() IS 'conversions whose function or trigger is missing';
REVOKE EXECUTE ON FUNCTION mesh_outbox.doctor_conversions() FROM PUBLIC;
