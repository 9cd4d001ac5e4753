# A copy of the data directory against the same Kafka: it stops by itself and
# leaves the original alone.  The same for a restored dump, and for a copy of
# the database on its server.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::RecursiveCopy;
use Test::More;

my $kafka = start_kafka();
my $node = new_node('main');
create_publisher($node, $kafka);
simple_outbox($node);
emit($node, "e$_" => $_) foreach 1 .. 5;
ok(wait_published($node), 'published');

# Slots and all, as a snapshot of the volume has it.
sub copy_of
{
	my ($name) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name);
	$node->stop('immediate');
	mkdir $copy->basedir unless -d $copy->basedir;
	PostgreSQL::Test::RecursiveCopy::copypath($node->data_dir, $copy->data_dir);
	chmod 0700, $copy->data_dir;
	unlink $copy->data_dir . '/postmaster.pid';
	$copy->append_conf('postgresql.conf', 'port = ' . $copy->port
		. "\nunix_socket_directories = '" . $copy->host . "'\n");
	$node->start;
	return $copy;
}

sub undisturbed
{
	my ($what, $id) = @_;
	my $pid = worker_pid($node, 'publisher');
	emit($node, $id => 1);
	ok(wait_published($node), "$what: the original goes on");
	is(worker_pid($node, 'publisher'), $pid, "$what: it was not fenced");
	return;
}

note 'a clone that knows less than Kafka';
my $behind = copy_of('behind');
emit($node, "m$_" => $_) foreach 1 .. 5;
ok(wait_published($node), 'the original went on');
$behind->start;
ok(wait_state($behind, 'needs attention'), 'the clone stops');
emit($behind, 'from-clone' => 1);
undisturbed('clone behind', 'o1');
is(status($behind)->{state}, 'needs attention', 'the clone stays so');
$behind->stop;

note 'a clone that committed other things at the marker\'s position';
my $diverged = copy_of('diverged');
$diverged->append_conf('postgresql.conf', q(shared_preload_libraries = ''));
$diverged->start;
$diverged->append_conf('postgresql.conf', q(shared_preload_libraries = 'mesh_outbox'));
emit($node, "n$_" => $_) foreach 1 .. 5;
ok(wait_published($node), 'the original went on');
my $reached = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
my $n = 0;
ok(until_true('as much WAL', sub {
	emit($diverged, 'from-clone-' . ++$n => 1);
	return $diverged->safe_psql('postgres', "SELECT pg_current_wal_flush_lsn() > '$reached'") eq 't';
}), 'the clone went on, too');
$diverged->restart;
ok(wait_state($diverged, 'needs attention'), 'the clone stops');
undisturbed('diverged clone', 'o2');
like(status($diverged)->{attention_hint}, qr/drop its publisher/, 'it is told what to do if it is a copy');
my ($rc, undef, $err) = $diverged->psql('postgres', q(
	SELECT mesh_outbox.set_outbox_publisher('sales.outbox', NULL);
	SELECT mesh_outbox.drop_publisher('main', lose_events => true, reason => 'a copy')), on_error_stop => 1);
is($rc, 0, 'dropped');
like($err, qr/Unless another server/, 'and not told to remove the position of the original');
undisturbed('diverged clone, dropped', 'o3');
$diverged->stop;

note 'dump and restore';
my $restored = new_node('restored');
my $dump = $node->backup_dir;
mkdir $dump;
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dump/dump", $node->connstr('postgres') ], 'pg_dump');
$restored->safe_psql('postgres', 'CREATE DATABASE restored');
$restored->command_ok([ 'pg_restore', '-d', $restored->connstr('restored'), "$dump/dump" ], 'pg_restore');
is(status($restored, 'main', 'restored')->{state}, 'paused', 'a restored publisher is paused');
ok(status($restored, 'main', 'restored')->{paused}, 'and says so');
is($restored->safe_psql('restored', 'SELECT count(*) FROM mesh_outbox.contracts'), '1', 'contracts are restored');
is($restored->safe_psql('restored', 'SELECT product, publisher FROM mesh_outbox.outboxes'),
	'sales.orders|main', 'outboxes are restored');
is( $restored->safe_psql('restored', 'SELECT count(*) FROM sales.outbox'),
	$node->safe_psql('postgres', 'SELECT count(*) FROM sales.outbox'),
	'and their rows');
sql_fails($restored, emit_sql('early', 1), qr/not ready.*resume_publisher/s, 'an event that nobody would publish',
	db => 'restored');
undisturbed('restored dump', 'o4');
$restored->safe_psql('restored', q(SELECT mesh_outbox.resume_publisher('main')));
ok(wait_ready($restored, 'main', 'restored'), 'resumed on purpose it starts');
sql_fails($restored, emit_sql('bad', -1), qr/minimum/, 'the check works', db => 'restored');
$restored->safe_psql('restored', emit_sql('from-restored', 1));
ok(wait_published($restored, 'restored'), 'and publishes what comes from now on');
undisturbed('restored and resumed', 'o5');

note 'a copy of the database on its own server';
ok(until_true('the ledger', sub {
	$node->safe_psql('postgres', 'SELECT max(last_commit) >= (SELECT max(created_at) FROM sales.outbox) FROM mesh_outbox.batches')
	  eq 't' }), 'the copy will have a ledger');
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE postgres');
is(status($node, 'main', 'copied')->{state}, 'paused', 'its publisher is paused');
sql_fails($node, emit_sql('early', 1), qr/not ready.*resume_publisher/s, 'an event that nobody would publish',
	db => 'copied');
$node->safe_psql('copied', q(SELECT mesh_outbox.resume_publisher('main')));
ok(wait_ready($node, 'main', 'copied'), 'resumed on purpose it starts');
$node->safe_psql('copied', emit_sql('from-copy', 1));
ok(wait_published($node, 'copied'), 'and asks for no decision about what the original published');
$node->restart;
$node->safe_psql('copied', emit_sql('from-copy-again', 1));
ok(wait_published($node, 'copied'), 'nor later');
emit($node, 'o6' => 1);
ok(wait_published($node), 'the original goes on');

my @seen = values_of(consume($kafka, 'sales.orders'));
is_deeply([ sort @seen ],
	[ sort((map { ("e$_", "m$_", "n$_") } 1 .. 5), qw(o1 o2 o3 o4 o5 o6 from-restored from-copy from-copy-again)) ],
	'every event of the original once, none of the clones');

done_testing();
