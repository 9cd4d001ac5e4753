# A synchronous standby is promoted: what consumers saw is there; the revived
# old primary stops by itself.  A standby does not publish.

use strict;
use warnings FATAL => 'all';

use File::Copy;
use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $kafka = start_kafka();
my $node = new_node('main', 'wal_keep_size = 256MB');
create_publisher($node, $kafka);
simple_outbox($node);
emit($node, "a$_" => $_) foreach 1 .. 10;
ok(wait_published($node), 'published');

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "primary_conninfo = '"
	. $node->connstr . " application_name=standby'");
$standby->start;
$node->append_conf('postgresql.conf', q(synchronous_standby_names = 'standby'));
$node->reload;
ok(until_true('a synchronous standby', sub {
	$node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync')) eq '1' }),
	'the standby is synchronous');
is($standby->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity
	WHERE backend_type ~ 'mesh_outbox (publisher|scribe)')), '0', 'no workers on a standby');
is(status($standby)->{name}, 'main', 'the view works on a standby');
like(status($standby)->{last_error}, qr/recovery/, 'and says why nothing runs');
is($standby->safe_psql('postgres', q(SELECT count(*) FROM mesh_outbox.doctor() WHERE object LIKE 'publisher%')), '0',
	'where nobody has to make a slot');

note 'nothing is published that the standby has not flushed';
$standby->stop;
$node->safe_psql('postgres', 'SET synchronous_commit = local;' . emit_sql('ahead', 1));
ok(wait_state($node, 'waiting for standby'), 'state waiting for standby');
is(scalar(grep { $_ eq 'ahead' } values_of(consume($kafka, 'sales.orders'))), 0, 'consumers do not see it');
$standby->start;
ok(wait_published($node), 'published when the standby is back');
is(scalar(grep { $_ eq 'ahead' } values_of(consume($kafka, 'sales.orders'))), 1, 'once');

# The slot must have left behind what the backup does not hold.
my ($from) = slurp_file($standby->data_dir . '/backup_label.old') =~ /START WAL LOCATION: (\S+)/;
ok(until_true('the slot to come after the backup', sub {
	emit($node, 'tick' => 1);
	$node->safe_psql('postgres', 'CHECKPOINT');
	wait_published($node);
	return $node->safe_psql('postgres', "SELECT restart_lsn > '$from' FROM pg_replication_slots
		WHERE slot_name LIKE 'mesh\\_outbox%'") eq 't' }), 'the slot is behind the start of the backup');
$standby->stop;

# The slot's file as a fail-over tool keeps it on the standby.
my ($slot) = $node->safe_psql('postgres', q(SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical'));
mkdir $standby->data_dir . "/pg_replslot/$slot";
copy($node->data_dir . "/pg_replslot/$slot/state", $standby->data_dir . "/pg_replslot/$slot/state") or die $!;
$standby->start;

note 'the primary dies';
emit($node, "b$_" => $_) foreach 1 .. 30;
kill_server($node);
my @before = values_of(consume_now($kafka, 'sales.orders'));
$standby->promote;
my %there = map { $_ => 1 } split /\n/, $standby->safe_psql('postgres', q(SELECT payload->>'id' FROM sales.outbox));
is_deeply([ grep { !$there{$_} } @before ], [], 'all that consumers saw is there');
$standby->safe_psql('postgres', emit_sql("c$_", $_)) foreach 1 .. 5;
ok(wait_published($standby), 'the promoted server publishes');
my @after = values_of(consume($kafka, 'sales.orders'));
is_deeply([ sort @after ], [ sort(split /\n/, $standby->safe_psql('postgres', q(SELECT payload->>'id' FROM sales.outbox))) ],
	'every event once');

note 'the old primary comes back';
my $pid = worker_pid($standby, 'publisher');
$node->append_conf('postgresql.conf', q(synchronous_standby_names = ''));
$node->start;
ok(wait_state($node, 'needs attention'), 'it stops by itself');
$standby->safe_psql('postgres', emit_sql('d1', 1));
ok(wait_published($standby), 'the new one goes on');
is(worker_pid($standby, 'publisher'), $pid, 'it was not fenced');
is(status($node)->{state}, 'needs attention', 'the old one stays so');

done_testing();
