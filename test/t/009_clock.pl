# What is due by the clock is done by a publisher's scribe, by itself; what
# fails there is logged, waits for nothing long, and keeps no event.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
create_publisher($node, 'embedded');
simple_outbox($node);
$node->safe_psql('postgres', q(
	CREATE ROLE partner;
	SELECT mesh_outbox.grant_publish('sales.orders', 'partner', until => now() + interval '1 day');
	SELECT mesh_outbox.register_consumer('reports', 'sales.orders', 'OrderPlaced', contact => 'reports@example.org');
	SELECT mesh_outbox.deprecate_contract('sales.orders', 'OrderPlaced', '1.0.0')));
ok(until_true('streaming', sub { status($node)->{state} eq 'streaming' }), 'streaming');
my $scribe = status($node)->{scribe_pid};

# A reload has the scribe look at once.
sub set_clock
{
	my ($days) = @_;
	my $time = $node->safe_psql('postgres', "SELECT now() + interval '$days days'");
	$node->safe_psql('postgres', "ALTER SYSTEM SET mesh_outbox.clock = '$time'");
	$node->reload;
	return;
}

sub grants { return $node->safe_psql('postgres', 'SELECT count(*) FROM mesh_outbox.publish_grant'); }

sub logged
{
	my ($from, $pattern) = @_;
	return until_true("logged: $pattern", sub { slurp_file($node->logfile, $from) =~ $pattern });
}

note 'a right ends';
is(grants(), 1, 'it is there before');
set_clock(2);
ok(until_true('expiry', sub { grants() == 0 }), 'and is taken back after its time');

note 'a sunset is reached while somebody holds the product';
my $holder = $node->background_psql('postgres');
$holder->query_safe(q(BEGIN; SELECT mesh_outbox.lock_product('sales.orders')));
my $log = -s $node->logfile;
set_clock(100);
ok(logged($log, qr/WARNING:.* sunset of product "sales.orders" is due and could not be dealt with/),
	'that is logged, not waited for');
emit($node, meanwhile => 1);
ok(wait_published($node), 'events are published meanwhile');
$holder->query_safe('ROLLBACK');
$holder->quit;
$node->reload;
ok(until_true('sunset', sub { $node->safe_psql('postgres',
	q(SELECT count(*) FROM mesh_outbox.notifications WHERE kind = 'sunset')) == 1 }), 'the next time it is done');
is($node->safe_psql('postgres', q(SELECT actor FROM mesh_outbox.audit_log WHERE action = 'update' AND new_values ? 'sunset_reached')),
	$node->safe_psql('postgres', 'SELECT current_user'), 'and is in the audit record');

note 'something is broken altogether';
$log = -s $node->logfile;
$node->safe_psql('postgres', 'ALTER FUNCTION mesh_outbox.run_due RENAME TO lost');
$node->reload;
ok(logged($log, qr/ERROR:.* function mesh_outbox\.run_due\(boolean\) does not exist/), 'an error is logged');
emit($node, after => 1);
ok(wait_published($node), 'events are published all the same');

note 'something takes too long';
$log = -s $node->logfile;
$node->safe_psql('postgres', q(
	CREATE FUNCTION mesh_outbox.run_due(boolean) RETURNS int LANGUAGE sql AS 'SELECT 1 FROM pg_sleep(600)'));
$node->reload;
ok(logged($log, qr/ERROR:.* canceling statement due to statement timeout/), 'it is cut short');
emit($node, later => 1);
ok(wait_published($node), 'and keeps no event');
is(status($node)->{scribe_pid}, $scribe, 'the scribe has lived through all of it');
$node->safe_psql('postgres', q(
	DROP FUNCTION mesh_outbox.run_due(boolean);
	ALTER FUNCTION mesh_outbox.lost RENAME TO run_due));

note 'a publisher that is paused does it, too';
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.pause_publisher('main', reason => 'test');
	SELECT mesh_outbox.set_review('sales.orders', 'OrderPlaced', due => (now() + interval '110 days')::date)));
ok(wait_state($node, 'paused'), 'paused');
set_clock(120);
my $reminded = 'SELECT reminded FROM mesh_outbox.review';
ok(until_true('review', sub { $node->safe_psql('postgres', $reminded) eq 't' }), 'a review is reminded of');

note 'where none runs';
without_workers($node, sub {
	$node->safe_psql('postgres',
		q(SELECT mesh_outbox.set_review('sales.orders', 'OrderPlaced', due => (now() + interval '130 days')::date)));
	set_clock(140);
	is($node->safe_psql('postgres', q(SELECT problem FROM mesh_outbox.doctor() WHERE object = 'review')),
		'not dealt with, of sales.orders: no publisher runs, which would have it done', 'doctor() says so');
});

done_testing();
