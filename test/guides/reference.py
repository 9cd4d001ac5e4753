"""Prints every function and view of the extension that others than its owner
may use, and that neither README nor a guide names.

    reference.py PSQL_COMMAND FILE...
"""
import re
import subprocess
import sys

# What views and functions of ours ask on their callers' behalf; of use to
# nobody else, so of no interest to readers.
HELPERS = set('''
    audit_hash base_type_of call_text caller caller_name changed_members check_anomalies check_enforcement check_pointer
    check_promises check_wire convert_for declared_properties document_domain duties_document element_named example_expectation expectation_of find_schema
    beside_schema bundles_term folded_name governance_event_of_contract governance_event_of_notice governance_outbox governance_schema
    checks_of_column dressed_schema grantee_name is_admin is_personal_name limit_above
    may_see_all name_distance nearest_property outbox_columns outbox_contents outbox_relations owned_domains owned_outboxes path_of_place
    plan_duties plan_product plan_relations plan_term plan_version pointer_steps product_document referenced_schemas
    require_period require_text schema_at schema_of_check schema_of_samples schema_of_type search_words this_database this_system version_numbers version_text
    versions_document violated_places violation_counters visible_publishers watched_domains without_nulls'''.split())
# "watch_…" is what a view of that name selects from; a policy's function has its name.
BEHIND_A_VIEW = re.compile('^(watch|policy)_')

QUERY = """
    SELECT p.proname FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    WHERE p.pronamespace = 'mesh_outbox'::regnamespace AND p.prorettype <> 'trigger'::regtype
      AND a.grantee <> p.proowner
    UNION
    SELECT c.relname FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.relnamespace = 'mesh_outbox'::regnamespace AND c.relkind = 'v' AND a.grantee <> c.relowner
    ORDER BY 1"""


def main(command, *paths):
    names = subprocess.run(command.split() + ['-d', 'guides', '-Atc', QUERY], text=True, check=True,
                           stdout=subprocess.PIPE).stdout.split()
    told = set(re.findall(r'[`.](\w+)', '\n'.join(open(path).read() for path in paths)))
    missing = [name for name in names
               if name not in told and name not in HELPERS and not BEHIND_A_VIEW.match(name)]
    for name in missing:
        print('neither README nor a guide names', name)
    gone = sorted(HELPERS - set(names))
    for name in gone:
        print('not a function that others may use any more:', name)
    print(f'{len(names) - len(missing)} passed, {len(missing) + len(gone)} failed')
    return bool(missing or gone)


sys.exit(main(*sys.argv[1:]))
