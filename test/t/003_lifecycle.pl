# Publishers come and go: created, paused, altered, dropped, with the workers
# and slots that belong to them.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('main');

sub workers
{
	return $node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity
		WHERE backend_type ~ 'mesh_outbox (publisher|scribe)'));
}

note 'no publisher, no workers';
is(workers(), '0', 'none');
create_publisher($node, 'embedded');
is(workers(), '2', 'a publisher has two processes');
simple_outbox($node);
my $brokers = status($node)->{brokers};

emit($node, first => 1);
ok(wait_published($node), 'published');

note 'paused';
$node->safe_psql('postgres', q(SELECT mesh_outbox.pause_publisher('main', reason => 'a reason')));
ok(wait_state($node, 'paused'), 'state paused');
is(status($node)->{pause_reason}, 'a reason', 'and why');
emit($node, paused => 1);
is($node->safe_psql('postgres', q(SELECT mesh_outbox.wait_published(timeout => '300 ms'))), 'f',
	'wait_published tells that it was in vain');
is_deeply([ values_of(consume($brokers, 'sales.orders')) ], ['first'], 'nothing comes out');
$node->safe_psql('postgres', q(SELECT mesh_outbox.resume_publisher('main')));
ok(wait_published($node), 'resumed');
is_deeply([ sort(values_of(consume($brokers, 'sales.orders'))) ], [ 'first', 'paused' ], 'it comes out');

note 'other traffic, long after the last event, is no lag';
$node->safe_psql('postgres', 'CREATE TABLE other (n int)');
my $lag;
ok(until_true('a lag in bytes', sub {
	$lag = $node->safe_psql('postgres', q(
		INSERT INTO other SELECT generate_series(1, 100);
		SELECT lag < '5 s' FROM mesh_outbox.publishers
		WHERE lag_bytes > 0 AND last_published_at < clock_timestamp() - interval '5 s')) }), 'WAL to be read');
is($lag, 't', 'it is counted from when all was dealt with');

note 'a pause that is rolled back';
$node->safe_psql('postgres', q(BEGIN; SELECT mesh_outbox.pause_publisher('main', reason => 'x'); ROLLBACK));
emit($node, 'not-paused' => 1);
ok(wait_published($node), 'changes nothing');

note 'woken by the commit, not by a clock';
# A process that sleeps is woken by a signal, and keeps it while it is stopped.
sub is_woken
{
	my ($pid) = @_;
	my @pending = slurp_file("/proc/$pid/status") =~ /^(?:Sig|Shd)Pnd:\s+\w{8}(\w{8})/mg;
	return grep { hex($_) & 1 << POSIX::SIGURG() - 1 } @pending;
}

my ($woken, $rounds) = (0, 10);
foreach (1 .. $rounds)
{
	wait_published($node);
	my $publisher = worker_pid($node, 'publisher');
	until_true('the publisher to sleep', sub { process_state($publisher) eq 'S' });
	kill 'STOP', $publisher;
	until_true('the publisher to stop', sub { process_state($publisher) eq 'T' });
	my $before = is_woken($publisher);
	emit($node, "w$_" => 1);
	$woken++ if !$before && is_woken($publisher);
	kill 'CONT', $publisher;
}
# One that happened to be awake needs no signal.
cmp_ok($woken, '>', $rounds / 2, "an INSERT woke the publisher $woken times of $rounds");
ok(wait_published($node), 'published');

note 'options are checked';
sql_fails($node, q(SELECT mesh_outbox.create_publisher('p', brokers => 'x:1', options => '{"no.such.property": "1"}')),
	qr/no\.such\.property/, 'unknown property');
sql_fails($node, qq(SELECT mesh_outbox.create_publisher('p', brokers => 'x:1', options => '{"$_": "1"}')),
	qr/\Q$_\E/, "property $_ is not ours to give away")
  foreach qw(transactional.id enable.idempotence acks);
sql_fails($node, q(SELECT mesh_outbox.create_publisher('p', brokers => 'x:1', options => '{"sasl.password": "secret"}')),
	qr/file/, 'a secret in clear');
unlike(slurp_file($node->logfile), qr/sasl\.password.*(?<!": ")secret(?!")/, 'the library logs no secret');

note 'altered';
my $pid = worker_pid($node, 'publisher');
$node->safe_psql('postgres', q(SELECT mesh_outbox.alter_publisher('main', options => '{"linger.ms": "1"}')));
ok(until_true('another process', sub { my $now = worker_pid($node, 'publisher'); $now && $now != $pid }),
	'starts again with the new options');

note 'dropped';
sql_fails($node, q(SELECT mesh_outbox.drop_publisher('main')), qr/has outboxes.*sales\.outbox/s, 'refused while it has outboxes');
$node->safe_psql('postgres', q(SELECT mesh_outbox.pause_publisher('main', reason => 'test')));
ok(wait_state($node, 'paused'), 'paused');
emit($node, 'committed-before-the-drop' => 1);
$node->safe_psql('postgres', q(SELECT mesh_outbox.set_outbox_publisher('sales.outbox', NULL)));
sql_fails($node, q(SELECT mesh_outbox.drop_publisher('main')),
	qr/not done.*committed between LSN [0-9A-F]+\/[0-9A-F]+ and .*state paused.*wait_published/s,
	'refused while it has events to publish');
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.set_outbox_publisher('sales.outbox', 'main');
	SELECT mesh_outbox.resume_publisher('main')));
ok(wait_state($node, 'streaming'), 'resumed');
# Its last event may be on its way: it is waited for.
emit($node, 'on-its-way' => 1);
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.set_outbox_publisher('sales.outbox', NULL);
	SELECT mesh_outbox.drop_publisher('main')));
ok(until_true('no workers', sub { workers() eq '0' }), 'its workers leave');
ok(until_true('no slot', sub {
	$node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots') eq '0' }), 'its slot goes');
emit($node, 'no-publisher' => 1);
pass('the outbox goes on accepting events');

note 'the launcher comes back';
create_publisher($node, 'embedded', name => 'other');
$node->safe_psql('postgres', q(SELECT mesh_outbox.set_outbox_publisher('sales.outbox', 'other')));
my $launcher = launcher_pid($node);
like($launcher, qr/^\d+$/, 'there is one launcher');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)");
ok(until_true('another launcher', sub {
	my $now = launcher_pid($node);
	return $now ne '' && $now ne $launcher; }), 'another one comes');
emit($node, 'after-launcher' => 1);
ok(wait_published($node), 'events flow');

note 'reload while events flow';
foreach (1 .. 10)
{
	$node->reload;
	emit($node, "r$_" => 1);
}
ok(wait_published($node), 'events flow');

note 'shutdown';
my $from = time;
$node->stop('fast');
cmp_ok(time - $from, '<=', $SOON, sprintf('pg_ctl stop -m fast took %.1f s', time - $from));
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP|Assert/, 'nothing crashed');

done_testing();
