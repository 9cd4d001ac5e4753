"""Runs what README.md and the guides tell readers to type, and compares what
they say it shows.

    check.py [--update] PSQL_COMMAND DATABASE FILE...

A ```sql block is typed into one psql session per call, all files in turn; a
```console block's lines that begin with "$ " into a shell, with the embedded
broker's address for k1:9092.  The ```text block right behind a sql block, or
the rest of a console block, is what it shows: "…" stands for anything, and
runs of blanks and dashes count as one.  A sql block that has none must end
without an error.  What a document needs and does not show is in a comment
"<!-- setup … -->".  MO_SECRET_FILE stands in for a file with a password.

--update writes what is shown now into the files, for a person to review.
"""
import os
import re
import subprocess
import sys

FENCE = re.compile(r'^```(sql|console)\n(.*?)^```\n(?:\n?^```text\n(.*?)^```\n)?|^<!-- setup\n(.*?)^-->\n', re.M | re.S)
# SQL that looks like an example and would not be typed; with a "…" it is none.
UNTRIED = re.compile(r'^    (?:SELECT|CALL|INSERT|CREATE)\b[^…\n]*;[^…\n]*$', re.M)
# What differs from run to run, for --update.
CHANGING = [r'\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b', r'\b[0-9A-F]+/[0-9A-F]{3,}\b',
            r'\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00(:00)?|Z)?', r'\b[0-9a-f]{64}\b']
# What readers have and the test has not.
HERE = [(r"'k\d:9092[^']*'", "'embedded'"), ('/etc/postgresql/kafka.password', os.environ['MO_SECRET_FILE'])]
PATIENCE = 300                          # s, of a console command


class Psql:
    """One session, as a reader has it: later blocks see what earlier ones did."""

    def __init__(self, command, database):
        self.command = command.split() + ['-d', database]
        self.process = subprocess.Popen(self.command, text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.blocks = 0

    def type(self, text):
        self.blocks += 1
        end = f'@@ end of block {self.blocks}'
        self.process.stdin.write(f'{text}\n\\echo {end}\n')
        self.process.stdin.flush()
        shown = []
        for line in self.process.stdout:
            if line.rstrip('\n') == end:
                return ''.join(shown)
            shown.append(line)
        raise SystemExit('psql has ended:\n' + ''.join(shown))

    def brokers(self):
        """Of the embedded broker; the session may be anybody by now."""
        return subprocess.run(self.command + ['-Atc', 'SELECT brokers FROM mesh_outbox.publisher_status() LIMIT 1'],
                              text=True, check=True, stdout=subprocess.PIPE).stdout.strip()


def squeezed(line):
    return re.sub(r'-{2,}', '--', re.sub(r'\s+', ' ', line)).strip()


def alike(expected, shown):
    """Line by line, but for empty lines."""
    expected = [squeezed(line) for line in expected.splitlines() if line.strip()]
    shown = [squeezed(line) for line in shown.splitlines() if line.strip()]
    return len(expected) == len(shown) and all(
        re.fullmatch('.*'.join(re.escape(part) for part in e.split('…')), s) for e, s in zip(expected, shown))


def run_console(block, brokers):
    shown = []
    for line in block.splitlines():
        if line.startswith('$ '):
            command = line[2:].replace('k1:9092', brokers)
            run = subprocess.run(['bash', '-c', command], text=True, timeout=PATIENCE,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            shown.append(line + '\n' + run.stdout)
    return ''.join(shown)


def generalized(text):
    for pattern in CHANGING:
        text = re.sub(pattern, '…', text)
    return ''.join(line.rstrip() + '\n' for line in text.splitlines() if line.strip())


class Checker:
    def __init__(self, psql):
        self.psql = psql
        self.passed = self.failed = 0

    def judge(self, where, good, block, shown):
        self.passed += good
        self.failed += not good
        if not good:
            print(f'-- {where}\n{block}-- shows\n{shown}')

    def block(self, match, where):
        """What the block shows; None where it need not say, or says it."""
        kind, body, expected, setup = match.groups()
        if setup is not None:
            shown = self.psql.type('RESET ROLE;\n' + setup)
            self.judge(where, 'ERROR:' not in shown, setup, shown)
            return None
        if kind == 'console':
            shown = run_console(body, self.psql.brokers())
            told = alike(body, shown)
            self.judge(where, told, body, shown)
            return None if told else shown
        typed = body
        for theirs, ours in HERE:
            typed = re.sub(theirs, ours, typed)
        shown = self.psql.type(typed)
        if expected is None:
            self.judge(where, 'ERROR:' not in shown, body, shown)
            return None
        told = alike(expected, shown)
        self.judge(where, told, body + '-- is said to show\n' + expected, shown)
        return None if told else shown

    def document(self, path, update):
        text, done, end = open(path).read(), [], 0
        untried = UNTRIED.findall(FENCE.sub('', text))
        self.judge(path + ' has SQL that is not tried', not untried, '\n'.join(untried) + '\n', '')
        for match in FENCE.finditer(text):
            shown = self.block(match, f'{path}:{text.count(chr(10), 0, match.start()) + 1}')
            if update and shown is not None:
                group = 2 if match.group(1) == 'console' else 3
                done += [text[end:match.start(group)], generalized(shown)]
                end = match.end(group)
        if update:
            open(path, 'w').write(''.join(done) + text[end:])


def main(arguments):
    update = arguments[0] == '--update'
    command, database, *paths = arguments[update:]
    checker = Checker(Psql(command, database))
    for path in paths:
        checker.document(path, update)
    print(f'{checker.passed} passed, {checker.failed} failed')
    return checker.failed != 0


sys.exit(main(sys.argv[1:]))
