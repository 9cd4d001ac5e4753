"""Prints what README.md names and the code does not have, and settings it leaves out."""
import pathlib
import re
import sys

src = pathlib.Path(sys.argv[1])
# Comments are for the tests of the guides.
readme = re.sub(r'<!--.*?-->', '', pathlib.Path(sys.argv[2]).read_text(), flags=re.S)
TOPICS = {'markers', 'governance'}
sql = '\n'.join(p.read_text() for p in sorted(src.rglob('*.sql')))
code = '\n'.join(p.read_text() for p in sorted(src.rglob('*.c')))
objects = set(re.findall(r'CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE|VIEW)\s+mesh_outbox\.(\w+)', sql))
settings = set(re.findall(r'MO_GUC_PREFIX "\.(\w+)"', code)) | set(
    re.findall(r'"mesh_outbox\.(\w+)",\s*"', code))
settings -= {'fault', 'skip_foreign'}    # compiled in for tests only

reference = readme.split('## SQL reference')[1].split('\n## ')[0]
named = set(re.findall(r'`(\w+)`', reference))
for name in sorted(named - objects):
    print('in the SQL reference, not in the code: ' + name)
for name in sorted(set(re.findall(r'\bmesh_outbox\.(\w+)', readme)) - objects - settings - TOPICS):
    if name[0].isupper():
        continue                        # an event's type
    print('in README, not in the code: mesh_outbox.' + name)
for name in sorted(n for n in settings if 'mesh_outbox.' + n not in readme):
    print('setting missing in README: mesh_outbox.' + name)
