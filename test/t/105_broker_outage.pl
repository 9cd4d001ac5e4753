# The broker is away: a state, not an error.  Nothing is lost, nothing spins,
# WAL is kept and shown, and everything goes on by itself.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

my $kafka = start_kafka();
my $node = new_node('main', q(mesh_outbox.retained_wal_warning = '16MB'),
	q(wal_keep_size = 0));
create_publisher($node, $kafka);
simple_outbox($node);
emit($node, before => 1);
ok(wait_published($node), 'published');

# How often a process's threads have gone to sleep so far, and its clock ticks of
# processor time.
sub wakeups
{
	my ($pid) = @_;
	my $sum = 0;
	# A thread may end meanwhile.
	$sum += ((eval { slurp_file($_) } // '') =~ /^voluntary_ctxt_switches:\s+(\d+)/m)[0] // 0
	  foreach glob "/proc/$pid/task/*/status";
	return $sum;
}

sub ticks
{
	my ($pid) = @_;
	my @f = split / /, (slurp_file("/proc/$pid/stat") =~ s/.*\) //sr);
	return $f[11] + $f[12];
}

# A process that does nothing but run, for comparison: on whatever machine, it
# gets what a busy loop would get at the same time.
sub beside_a_loop
{
	my ($pid) = @_;
	my $here = $$;
	my $loop = fork() // die $!;
	if ($loop == 0) { 1 while getppid() == $here; POSIX::_exit(0); }
	my ($started, $woken, $used, $looped) = (time, wakeups($pid), ticks($pid), ticks($loop));
	# The stretch of time is what is measured.
	until_true('two seconds of the loop', sub { time - $started > 2 && ticks($loop) - $looped >= 100 });
	my $share = (ticks($pid) - $used) / (ticks($loop) - $looped);
	my $rate = (wakeups($pid) - $woken) / (time - $started);
	kill 'KILL', $loop;
	waitpid($loop, 0);
	return ($share, $rate);
}

foreach my $how (qw(KILL STOP))
{
	note "SIG$how";
	my $pid = worker_pid($node, 'publisher');
	my $log = -s $node->logfile;
	kafka('signal', $kafka, 1, $how);
	emit($node, "$how$_" => $_) foreach 1 .. 10;
	ok(wait_state($node, 'waiting for broker'), "$how: state waiting for broker");
	my $s = status($node);
	ok(defined $s->{since}, 'since when');
	ok(($s->{last_error} // '') ne '', "with the last error: " . ($s->{last_error} // ''));

	note 'WAL is kept, and a warning says so';
	my $seen = -s $node->logfile;
	$node->safe_psql('postgres', q(
		CREATE TABLE IF NOT EXISTS filler (x text);
		INSERT INTO filler SELECT repeat(md5(g::text), 30) FROM generate_series(1, 25000) g;));
	ok(until_true('the warning', sub { slurp_file($node->logfile, $seen) =~ /WARNING:.*WAL/ }),
		"$how: a warning about retained WAL");
	cmp_ok(status($node)->{retained_wal_bytes}, '>', 16 * 1024 * 1024, 'retained WAL is shown');

	my ($share, $rate) = beside_a_loop($pid);
	cmp_ok($share, '<', 0.2, sprintf("$how: no busy loop (%.3f of one)", $share));
	cmp_ok($rate, '<', 300, sprintf("$how: nor one with short naps (%.0f a second)", $rate));
	is(worker_pid($node, 'publisher'), $pid, "$how: no restart");
	my $lines = () = slurp_file($node->logfile, $log) =~ /LOG:  librdkafka|publisher "main"/g;
	cmp_ok($lines, '<', 40, "$how: the log is not flooded");

	kafka($how eq 'KILL' ? ('up', $kafka) : ('signal', $kafka, 1, 'CONT'));
	my $back = time;
	ok(wait_published($node), "$how: goes on by itself");
	my $took = time - $back;
	cmp_ok($took, '<', $SOON, sprintf("within $SOON s (%.1f)", $took));
	is(worker_pid($node, 'publisher'), $pid, "$how: still the same process");
	my @seen = grep { /^$how/ } values_of(consume($kafka, 'sales.orders'));
	is_deeply([ sort @seen ], [ sort map { "$how$_" } 1 .. 10 ], "$how: every event once");
}

note 'no broker at the start';
kafka('signal', $kafka, 1, 'KILL');
$node->restart;
ok(wait_state($node, 'waiting for broker'), 'state waiting for broker');
emit($node, late => 1);
kafka('up', $kafka);
ok(wait_published($node), 'goes on by itself');
is(scalar(grep { $_ eq 'late' } values_of(consume($kafka, 'sales.orders'))), 1, 'once');

note 'an outage does not hold the server back';
foreach my $how (qw(STOP KILL))
{
	kafka('signal', $kafka, 1, $how);
	emit($node, "down-$how" => 1);
	ok(wait_state($node, 'waiting for broker'), "SIG$how: waiting for broker");
	my $from = time;
	$node->stop('fast');
	cmp_ok(time - $from, '<=', $SOON, sprintf('SIG%s: pg_ctl stop -m fast took %.1f s', $how, time - $from));
	$node->start;
	kafka('signal', $kafka, 1, 'CONT') if $how eq 'STOP';
}
kafka('up', $kafka);
ok(wait_published($node), 'goes on');

note 'the postmaster dies while the broker is stopped';
kafka('signal', $kafka, 1, 'STOP');
emit($node, orphan => 1);
kill_server($node);
$node->start;
kafka('signal', $kafka, 1, 'CONT');
ok(wait_published($node), 'goes on');
is(scalar(grep { $_ eq 'orphan' } values_of(consume($kafka, 'sales.orders'))), 1, 'once');

done_testing();
