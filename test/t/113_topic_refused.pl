# A topic that the brokers refuse holds up the other products for a bounded
# time only: then its events become dead letters, in order, and the stream goes
# on.  What can heal is waited for.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $kafka = start_kafka();
my $node = new_node('main', q(mesh_outbox.topic_timeout = '1h'));
create_publisher($node, $kafka);
simple_outbox($node);
emit($node, before => 1);
ok(wait_published($node), 'published');

# Puts events of a product between events of another, and tells what came of
# them.
sub mixed
{
	my ($table, $id) = @_;
	$node->safe_psql('postgres', join(';', 'BEGIN', emit_sql("$id-1", 1, $table), emit_sql("$id-good", 1),
		emit_sql("$id-2", 2, $table), 'COMMIT'));
	return;
}

sub dead
{
	my ($id) = @_;
	return $node->safe_psql('postgres', qq(
		SELECT string_agg(reason || ' ' || key || ' ' || payload, E'\\n' ORDER BY dead_letter_id)
		FROM mesh_outbox.dead_letter WHERE key LIKE '$id-%'));
}

sub becomes_dead
{
	my ($id, $what) = @_;
	ok(wait_published($node), "$what: the stream goes on");
	is(dead($id), qq(topic_refused $id-1 {"n": 1, "id": "$id-1"}\ntopic_refused $id-2 {"n": 2, "id": "$id-2"}),
		"$what: dead letters, in order, whole");
	is_deeply([ grep { $_ eq "$id-good" } values_of(consume($kafka, 'sales.orders')) ], ["$id-good"],
		"$what: the other product's event is out, once");
	return;
}

note 'a setting that Kafka does not know';
extra_outbox($node, 'sales.odd', 'sales.odd', topic_config => '{"no.such.setting": 1}');
mixed('sales.odd', 'odd');
ok(wait_state($node, 'waiting for topic'), 'waits for the topic');
like($node->safe_psql('postgres', q(SELECT problem || ' -> ' || remedy FROM mesh_outbox.doctor() WHERE object = 'publisher main')),
	qr/waiting for topic.*no\.such\.setting.*propose a contract version/s, 'doctor says for which, and why');
# Until here it was not to end; now it lasts as long as it has, and makes the
# publisher impatient for nine times as long.
$node->safe_psql('postgres', q(ALTER SYSTEM SET mesh_outbox.topic_timeout = '5s'));
$node->reload;
becomes_dead('odd', 'unknown setting');
like($node->safe_psql('postgres', q(SELECT DISTINCT detail FROM mesh_outbox.dead_letter WHERE key LIKE 'odd-%')),
	qr/"sales\.odd".*no\.such\.setting/, 'with what the broker said');
like($node->safe_psql('postgres', q(SELECT problem FROM mesh_outbox.doctor() WHERE object = 'outbox sales.odd')),
	qr/2 dead letters since .*no\.such\.setting/, 'and doctor too');
is(status($node)->{state}, 'streaming', 'streaming');

note 'more replicas than there are brokers, soon after: patience is used up';
my $log = -s $node->logfile;
extra_outbox($node, 'sales.safer', 'sales.safer', replication => 3);
mixed('sales.safer', 'safer');
becomes_dead('safer', 'too many replicas');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile, $log), qr/waiting for topic/, 'without another wait');

note 'the first version of a topic with another number of partitions';
kafka('create', $kafka, 'sales.narrow', 1);
extra_outbox($node, 'sales.narrow', 'sales.narrow', partitions => 3);
mixed('sales.narrow', 'narrow');
becomes_dead('narrow', 'other number of partitions');

note 'mended: a version with other settings';
$node->safe_psql('postgres', qq(
	SELECT mesh_outbox.alter_product('sales.odd', topic_config => '{}');
	SELECT mesh_outbox.propose_contract('sales.odd', 'OrderPlaced', version => '1.0.1', key => '/id', description => 'a customer placed an order',
		schema => '$MeshOutbox::Test::SCHEMA');
	CALL mesh_outbox.cut_over('sales.odd', 'OrderPlaced', '1.0.1')));
emit_into_crash($node, emit_sql('odd-mended', 1, 'sales.odd'));
ok(wait_published($node), 'goes on');
is_deeply([ values_of(consume($kafka, 'sales.odd')) ], ['odd-mended'], 'events come to the topic from then on');

note 'dead letters are tried again';
sub letters { return "(SELECT array_agg(dead_letter_id) FROM mesh_outbox.dead_letter WHERE key LIKE '$_[0]-%')"; }
# What recovery still needs is kept; other events lead past it.  Gives back what
# the call returns.
sub when_left_behind
{
	my ($call) = @_;
	my $returned;
	ok(until_true('the letters to be left behind', sub {
		emit($node, passing => 1);
		(my $rc, $returned, my $err) = $node->psql('postgres', "SELECT mesh_outbox.$call");
		like($err, qr/has not left dead letter/, 'not yet') if $rc;
		return !$rc;
	}), 'left behind');
	return $returned;
}
is(when_left_behind('retry_dead_letters(' . letters('odd') . ')'), '2', 'retried');
ok(wait_published($node), 'goes on');
my @sent = sort { header($a, 'ce_sequence') cmp header($b, 'ce_sequence') } consume($kafka, 'sales.odd');
is_deeply([ grep { /^odd-[12]/ } values_of(@sent) ], [qw(odd-1 odd-2)], 'published, in order, once');
my ($retried) = grep { $_->{value} =~ /"odd-1"/ } @sent;
is($node->safe_psql('postgres', qq(SELECT event_id, key FROM sales.odd WHERE event_id = '$retried->{header}{ce_id}')),
	"$retried->{header}{ce_id}|$retried->{key}", 'as the event that it is in the outbox');
is(header($retried, 'ce_dataschema'), 'urn:mesh-outbox:sales.odd:OrderPlaced:1.0.1', 'under the version in force');
is(dead('odd'), '', 'no dead letter any more');

$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
my $one = $node->safe_psql('postgres', 'SELECT min(dead_letter_id) FROM mesh_outbox.dead_letters');
sql_fails($node, "SET ROLE stranger; SELECT mesh_outbox.discard_dead_letters('{$one}', reason => 'x')",
	qr/permission denied to discard/, 'a stranger');
is(when_left_behind('discard_dead_letters(' . letters('narrow') . q{, reason => 'tests')}), '2', 'discarded');
is($node->safe_psql('postgres', q{SELECT string_agg(action || ' ' || regexp_replace(detail, '.*: ', ''), ', ' ORDER BY at)
	FROM mesh_outbox.publisher_events WHERE action = 'discard'}), 'discard tests, discard tests', 'which is recorded');

note 'what is dead again is a dead letter again';
is(when_left_behind('retry_dead_letters(' . letters('safer') . ')'), '2', 'retried');
ok(wait_published($node), 'goes on');
is(dead('safer'), qq(topic_refused safer-1 {"n": 1, "id": "safer-1"}\ntopic_refused safer-2 {"n": 2, "id": "safer-2"}),
	'both, whole, in order');

note 'mended on the other side: the topic is made as it should be';
kafka('create', $kafka, 'sales.safer', 3);
ok(until_true('the topic to be looked at again', sub {
	emit_into_crash($node, emit_sql('again', 1, 'sales.safer'));
	wait_published($node);
	return scalar(consume($kafka, 'sales.safer')) > 0;
}), 'the next event after a while is published');

note 'after a crash nothing is published that is dead';
$log = -s $node->logfile;
extra_outbox($node, 'sales.crash', 'sales.crash', topic_config => '{"no.such.setting": 1}');
my $order = fault($node, 'dead_letter_durable:crash');
emit_into_crash($node, emit_sql('crash-1', 1, 'sales.crash'), emit_sql('crash-good', 1), emit_sql('crash-2', 2, 'sales.crash'));
await_crash($node, $order, $log);
kafka('create', $kafka, 'sales.crash', 3);
ok(wait_published($node), 'the stream goes on');
my $dead = $node->safe_psql('postgres', q(SELECT count(*) FROM mesh_outbox.dead_letter WHERE key LIKE 'crash-%'));
is($dead + grep({ /^crash-/ } values_of(consume($kafka, 'sales.crash'))), 2, 'each event is here or there');
is_deeply([ grep { $_ eq 'crash-good' } values_of(consume($kafka, 'sales.orders')) ], ['crash-good'], 'once');

note 'a topic that is deleted while it is written to';
kafka('delete', $kafka, 'sales.orders');
emit($node, unwritten => 1);
ok(wait_state($node, 'waiting for broker'), 'the publisher says that it waits');
like(status($node)->{last_error}, qr/records are not acknowledged/, 'and for what');
kafka('create', $kafka, 'sales.orders', 3);
ok(wait_published($node), 'goes on when it is there again');
is_deeply([ values_of(consume($kafka, 'sales.orders')) ], ['unwritten'], 'once');
is(status($node)->{state}, 'streaming', 'and says so');

done_testing();
