# Events leave their outbox by themselves once their product's retention is
# over: not before they are published, and none that may be needed still.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
create_publisher($node, 'embedded');
simple_outbox($node);
extra_outbox($node, 'sales.kept', 'sales.kept');
ok(until_true('streaming', sub { status($node)->{state} eq 'streaming' }), 'streaming');

sub count_of { my ($table) = @_; return $node->safe_psql('postgres', "SELECT count(*) FROM $table"); }

# The slot's horizon moves when it passes a record of what runs, with traffic
# behind it; a reload has the scribe look at once.
sub until_purged
{
	my ($left) = @_;
	return until_true('purge', sub {
		$node->safe_psql('postgres', 'CHECKPOINT');
		$node->safe_psql('postgres', emit_sql('tick', 1, 'sales.kept'));
		wait_published($node);
		$node->reload;
		count_of('sales.outbox') == $left;
	});
}

note 'no retention, or one that is not over';
emit($node, map { ("early-$_" => $_) } 1 .. 2500);
wait_published($node);
$node->safe_psql('postgres', q(SELECT mesh_outbox.alter_product('sales.orders', retention => '1 day')));
is($node->safe_psql('postgres', 'SELECT mesh_outbox.purge_expired(publisher_id, 10) FROM mesh_outbox.publisher'), '0', 'nothing goes');

note 'one that is over';
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '1.0.0', 'quarantine', reason => 'test');
	INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": "odd", "n": -1}')));
wait_published($node);
is(count_of('mesh_outbox.dead_letter'), 1, 'a dead letter');
$node->safe_psql('postgres', q(SELECT mesh_outbox.alter_product('sales.orders', retention => '1 ms')));
ok(until_purged(1), 'all go, but that of the dead letter');
is($node->safe_psql('postgres', q(SELECT key FROM sales.outbox)), 'odd', 'that one');
is($node->safe_psql('postgres', q(SELECT product, purged_by IS NULL, sum(events) FROM mesh_outbox.purges GROUP BY 1, 2)),
	'sales.orders|t|2500', 'recorded');
cmp_ok(count_of('sales.kept'), '>', 0, 'a product without retention keeps its events');

# The ledger lags behind by up to a second.
my $discard = q(SELECT mesh_outbox.discard_dead_letters('{1}', reason => 'test'));
ok(until_true('the ledger', sub { !$node->psql('postgres', "BEGIN; $discard; ROLLBACK") }), 'the letter may be discarded');

note 'what is not published stays';
$node->safe_psql('postgres', q(SELECT mesh_outbox.pause_publisher('main', reason => 'test')));
ok(wait_state($node, 'paused'), 'paused');
emit($node, map { ("late-$_" => $_) } 1 .. 5);
$node->safe_psql('postgres', 'CHECKPOINT');
# In one transaction: the scribe, too, would purge what is discarded.
is($node->safe_psql('postgres', qq(
	BEGIN;
	$discard;
	SELECT mesh_outbox.purge_expired(publisher_id, 10) FROM mesh_outbox.publisher;
	COMMIT)), "1\n1", 'the letter goes');
is(count_of('sales.outbox'), 5, 'what waits does not');
$node->safe_psql('postgres', q(SELECT mesh_outbox.resume_publisher('main')));
ok(wait_state($node, 'streaming'), 'streaming');
ok(until_purged(0), 'until it is published');

note 'somebody holds the table';
my $holder = $node->background_psql('postgres');
my $log = -s $node->logfile;
$holder->query_safe('BEGIN; LOCK TABLE sales.outbox IN EXCLUSIVE MODE');
$node->reload;
ok(until_true('warning', sub { slurp_file($node->logfile, $log) =~ /WARNING:.* could not purge outbox sales.outbox/ }),
	'that is logged, not waited for');
$node->safe_psql('postgres', emit_sql('meanwhile', 1, 'sales.kept'));
ok(wait_published($node), 'events are published meanwhile');
$holder->query_safe('ROLLBACK');
$holder->quit;

done_testing();
