# Whether a row is an event was decided when it was written: by the check
# trigger its table had then.  Every case runs three times: while the
# publisher streams, while it is paused, and paused with the server restarted
# between the change of the catalog and the rows.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $kafka = start_kafka();
# What some cases do to an outbox is refused otherwise.
my $node = new_node('main', 'mesh_outbox.protect_outboxes = off');
create_publisher($node, $kafka);
simple_outbox($node);

my $columns = 'event_id uuid, event_type text, major_version int, key text, payload jsonb,'
  . ' event_time timestamptz, headers jsonb, correlation_id text, causation_id text,'
  . ' traceparent text, contract_id bigint, created_at timestamptz';
my $create = q(SELECT mesh_outbox.create_outbox('sales.T', product => 'sales.orders'));
my $attach = q(SELECT mesh_outbox.attach_outbox('sales.T', product => 'sales.orders'));
my $disable = 'ALTER TABLE sales.T DISABLE TRIGGER ALL';
# As create_outbox leaves it: ENABLE would make it an ordinary trigger.
my $enable = 'ALTER TABLE sales.T ENABLE ALWAYS TRIGGER mesh_outbox_check';
my $parted = "CREATE TABLE sales.T ($columns) PARTITION BY LIST (event_type)";
my $leaf = q(CREATE TABLE sales.T_leaf PARTITION OF sales.T FOR VALUES IN ('OrderPlaced'));

# An event of the case, named x, into a table.
sub event { my ($x, $table) = @_; return emit_sql("C:$x", 1, $table // 'sales.T'); }

# A row that no check looks at.
sub row
{
	my ($x, $table) = @_;
	$table //= 'sales.T';
	return qq(INSERT INTO $table (event_id, event_type, payload, event_time, contract_id, created_at)
		VALUES (gen_random_uuid(), 'OrderPlaced', '{"id": "C:$x", "n": 1}', now(), 1, now()));
}

# name, statements before, statements with the rows, events that are expected
my @cases = (
	[ 'created and filled in one transaction', [], [ 'BEGIN', $create, event('a'), 'COMMIT' ], ['a'] ],
	[ 'created, filled later', [$create], [ event('a') ], ['a'] ],
	[ 'created in a sub-transaction, filled behind it', [],
		[ 'BEGIN', 'SAVEPOINT s', $create, 'RELEASE s', event('a'), 'COMMIT' ], ['a'] ],
	[ 'creation rolled back to a savepoint, an ordinary table of that name filled', [],
		[ 'BEGIN', 'SAVEPOINT s', $create, event('a'), 'ROLLBACK TO s', "CREATE TABLE sales.T ($columns)",
			row('b'), 'COMMIT' ], [] ],
	[ 'created and filled, all rolled back', [],
		[ 'BEGIN', $create, event('a'), 'ROLLBACK', $create, event('b') ], ['b'] ],
	[ 'created and filled in a prepared transaction', [],
		[ 'BEGIN', $create, event('a'), q(PREPARE TRANSACTION 'C'), q(COMMIT PREPARED 'C') ], ['a'] ],
	[ 'a prepared transaction rolled back', [$create],
		[ 'BEGIN', event('a'), q(PREPARE TRANSACTION 'C'), q(ROLLBACK PREPARED 'C'), event('b') ], ['b'] ],
	[ 'rows before it was attached', [ "CREATE TABLE sales.T ($columns)", row('old') ],
		[ $attach, event('a') ], ['a'] ],
	[ 'row, attached, event in one transaction', [ "CREATE TABLE sales.T ($columns)" ],
		[ 'BEGIN', row('old'), 'COMMIT', 'BEGIN', $attach, event('a'), 'COMMIT' ], ['a'] ],
	[ 'attached with other column names',
		[ 'CREATE TABLE sales.T (kind text, body jsonb)' ],
		[ q(SELECT mesh_outbox.attach_outbox('sales.T', product => 'sales.orders',
				columns => '{"event_type": "kind", "payload": "body"}')),
			q(INSERT INTO sales.T (kind, body) VALUES ('OrderPlaced', '{"id": "C:a", "n": 1}')) ], ['a'] ],
	[ 'partitioned, through the parent', [ $parted, $leaf, $attach ], [ event('a') ], ['a'] ],
	[ 'partitioned, into the leaf', [ $parted, $leaf, $attach ], [ event('a', 'sales.T_leaf') ], ['a'] ],
	[ 'partition created and filled in one transaction', [ $parted, $attach ],
		[ 'BEGIN', $leaf, event('a'), event('b', 'sales.T_leaf'), 'COMMIT' ], [ 'a', 'b' ] ],
	[ 'partition attached and filled in one transaction',
		[ $parted, $attach, "CREATE TABLE sales.T_leaf ($columns)", row('old', 'sales.T_leaf') ],
		[ 'BEGIN', q(ALTER TABLE sales.T ATTACH PARTITION sales.T_leaf FOR VALUES IN ('OrderPlaced')),
			event('a'), 'COMMIT' ], ['a'] ],
	[ 'partition detached', [ $parted, $leaf, $attach, event('a'), 'ALTER TABLE sales.T DETACH PARTITION sales.T_leaf' ],
		[ row('b', 'sales.T_leaf') ], ['a'] ],
	[ 'trigger dropped', [ $create, event('a') ],
		[ 'DROP TRIGGER mesh_outbox_check ON sales.T', row('b') ], ['a'] ],
	[ 'trigger disabled', [ $create, event('a') ], [ $disable, row('b') ], ['a'] ],
	[ 'trigger disabled and enabled', [ $create, $disable ], [ row('a'), $enable, event('b') ], ['b'] ],
	[ 'trigger made again with other arguments',
		[ $create, event('a'), q(SELECT mesh_outbox.set_outbox_publisher('sales.T', NULL)) ],
		[ event('unpublished'), q(SELECT mesh_outbox.set_outbox_publisher('sales.T', 'main')), event('b') ],
		[ 'a', 'b' ] ],
	[ 'detached', [ $create, event('a') ], [ q(SELECT mesh_outbox.detach_outbox('sales.T')), row('b') ], ['a'] ],
	# VACUUM takes pg_class.relhastriggers away, for the past as well.
	[ 'detached and vacuumed before it is decoded',
		[ $create, event('a'), q(SELECT mesh_outbox.detach_outbox('sales.T')), 'VACUUM sales.T' ],
		[ row('b') ], ['a'] ],
	[ 'renamed', [ $create, event('a'), 'ALTER TABLE sales.T RENAME TO T_renamed' ],
		[ event('b', 'sales.T_renamed') ], [ 'a', 'b' ] ],
	[ 'moved to another schema', [ $create, 'ALTER TABLE sales.T SET SCHEMA elsewhere' ],
		[ event('a', 'elsewhere.T') ], ['a'] ],
	[ 'dropped before it is decoded', [$create],
		[ event('a'), q(SELECT mesh_outbox.drop_outbox('sales.T', lose_events => true)) ], ['a'] ],
	[ 'filled and dropped in one transaction', [$create],
		[ 'BEGIN', event('a'), q(SELECT mesh_outbox.drop_outbox('sales.T', lose_events => true)), 'COMMIT' ],
		['a'] ],
	[ 'VACUUM FULL', [ $create, event('a') ], [ 'VACUUM FULL sales.T', event('b') ], [ 'a', 'b' ] ],
	[ 'rewritten by ALTER TABLE', [ $create, event('a') ],
		[ 'ALTER TABLE sales.T ADD COLUMN extra float DEFAULT random()', event('b') ], [ 'a', 'b' ] ],
	[ 'column added and dropped',
		[ $create, 'ALTER TABLE sales.T ADD COLUMN extra text, ADD COLUMN more text', 'ALTER TABLE sales.T DROP COLUMN extra' ],
		[ event('a') ], ['a'] ],
	[ 'TRUNCATE by a superuser',
		[ $create, event('a'), 'ALTER TABLE sales.T DISABLE TRIGGER mesh_outbox_truncate', 'TRUNCATE sales.T' ],
		[ event('b') ], [ 'a', 'b' ] ],
);

# A case's statements, with its own names.
sub script
{
	my ($case, $statements) = @_;
	my $sql = join(";\n", @$statements);
	$sql =~ s/\bT(_leaf|_renamed)?\b/"t_$case" . ($1 ? lc $1 : '')/ge;
	$sql =~ s/\bC\b/$case/g;
	return $sql . ";\n";
}

my %expected;

sub prepare
{
	my ($pass) = @_;
	foreach my $i (0 .. $#cases)
	{
		my ($name, $before, $rows, $events) = @{ $cases[$i] };
		$expected{"$pass$i"} = $events;
		$node->safe_psql('postgres', script("$pass$i", $before)) if @$before;
	}
	return;
}

sub fill
{
	my ($pass) = @_;
	$node->safe_psql('postgres', script("$pass$_", $cases[$_][2])) foreach 0 .. $#cases;
	return;
}

$node->safe_psql('postgres', 'CREATE SCHEMA elsewhere');

note 'streaming';
prepare('s');
fill('s');
ok(wait_published($node), 'published');

note 'paused';
$node->safe_psql('postgres', q(SELECT mesh_outbox.pause_publisher('main', reason => 'test')));
ok(wait_state($node, 'paused'), 'paused');
prepare('p');
fill('p');
$node->safe_psql('postgres', q(SELECT mesh_outbox.resume_publisher('main')));
ok(wait_published($node), 'published');

note 'paused, and restarted between the change and the rows';
$node->safe_psql('postgres', q(SELECT mesh_outbox.pause_publisher('main', reason => 'test')));
ok(wait_state($node, 'paused'), 'paused');
prepare('r');
$node->safe_psql('postgres', q(SELECT mesh_outbox.resume_publisher('main')));
ok(wait_published($node), 'the changes are dealt with');
$node->restart;
$node->safe_psql('postgres', q(SELECT mesh_outbox.pause_publisher('main', reason => 'test')));
ok(wait_state($node, 'paused'), 'paused');
fill('r');
$node->restart;
$node->safe_psql('postgres', q(SELECT mesh_outbox.resume_publisher('main')));
ok(wait_published($node), 'published');

my %got;
foreach my $id (values_of(consume($kafka, 'sales.orders')))
{
	my ($case, $event) = split /:/, $id;
	push @{ $got{$case} }, $event;
}
my %passes = (s => 'streaming', p => 'paused', r => 'restarted');
foreach my $pass (qw(s p r))
{
	foreach my $i (0 .. $#cases)
	{
		is_deeply([ sort @{ $got{"$pass$i"} // [] } ], $expected{"$pass$i"},
			"$passes{$pass}: $cases[$i][0]");
	}
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM mesh_outbox.dead_letters'), '0', 'no dead letters');

done_testing();
