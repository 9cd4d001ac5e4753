# What can never be published goes to the dead letters, whole and in order, and
# the stream goes on.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $kafka = start_kafka();
my $node = new_node('main');
create_publisher($node, $kafka);
simple_outbox($node, topic_config => '{"max.message.bytes": "20000"}');

sub big
{
	my ($id, $bytes) = @_;
	return qq(INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced',
		jsonb_build_object('id', '$id', 'n', 1, 'pad',
			(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, $bytes / 32)))));
}

note 'larger than the topic takes, between good ones, in one transaction';
emit($node, first => 1);
$node->safe_psql('postgres',
	join(';', 'BEGIN', emit_sql('a', 1), big('too-big', 60000), emit_sql('b', 2), 'COMMIT'));
emit($node, last => 1);
ok(wait_published($node), 'the stream goes on');
is_deeply([ sort(values_of(consume($kafka, 'sales.orders'))) ], [qw(a b first last)], 'the good ones are out, once');
is($node->safe_psql('postgres', q(SELECT reason, outbox, topic FROM mesh_outbox.dead_letters)),
	'too_large|sales.outbox|sales.orders', 'the bad one is a dead letter');
is($node->safe_psql('postgres', q(
	SELECT d.key, length(d.payload) > 60000, d.payload::jsonb = (SELECT o.payload FROM sales.outbox o WHERE o.event_id = d.event_id)
	FROM mesh_outbox.read_dead_letters((SELECT array_agg(dead_letter_id) FROM mesh_outbox.dead_letters)) d)),
	'too-big|t|t', 'its payload whole');
like($node->safe_psql('postgres', 'SELECT detail FROM mesh_outbox.dead_letters'), qr/large|size/i, 'the reason as a sentence');
is(status($node)->{dead_letters}, 1, 'counted');

note 'larger than the client sends at all';
$node->safe_psql('postgres', big('huge', 3_000_000));
emit($node, 'after-huge' => 1);
ok(wait_published($node), 'the stream goes on');
is($node->safe_psql('postgres', q(SELECT count(*) FROM mesh_outbox.dead_letter WHERE key = 'huge')), '1', 'a dead letter');

note 'as large as the check lets through: six times what it is as jsonb';
$node->safe_psql('postgres', q(INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced',
	jsonb_build_object('id', 'largest', 'n', 1, 'pad', repeat(chr(1), 11000000)))));
emit($node, 'after-largest' => 1);
ok(wait_published($node), 'the stream goes on');
is($node->safe_psql('postgres', q(SELECT length(payload) > 66000000 FROM mesh_outbox.dead_letter WHERE key = 'largest')), 't',
	'a dead letter, whole');

note 'a row that no contract describes';
# Stamped by hand with a contract that does not exist: only a superuser can.
$node->safe_psql('postgres', q(
	CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN NEW.contract_id := 987654; RETURN NEW; END $$;
	CREATE TRIGGER zz_forge BEFORE INSERT ON sales.outbox FOR EACH ROW EXECUTE FUNCTION forge();
	ALTER TABLE sales.outbox ENABLE ALWAYS TRIGGER zz_forge;));
emit($node, forged => 1);
$node->safe_psql('postgres', 'DROP TRIGGER zz_forge ON sales.outbox');
emit($node, 'after-forged' => 1);
ok(wait_published($node), 'the stream goes on');
is($node->safe_psql('postgres', q(SELECT reason, contract_id FROM mesh_outbox.dead_letter WHERE key = 'forged')),
	'no_contract|987654', 'a dead letter');

note 'many at once, and a crash at every step of the first';
foreach my $step (qw(batch_abort dead_letter_ask dead_letter_durable))
{
	my $log = -s $node->logfile;
	my $order = fault($node, "$step:crash");
	emit_into_crash($node, emit_sql("$step-a", 1), big("$step-bad1", 40000),
		emit_sql("$step-b", 1), big("$step-bad2", 40000), emit_sql("$step-c", 1));
	await_crash($node, $order, $log);
	ok(wait_published($node), 'the stream goes on');
	my @seen = grep { /^$step/ } values_of(consume($kafka, 'sales.orders'));
	is_deeply([ sort @seen ], [ map { "$step-$_" } qw(a b c) ], 'good ones once');
	is($node->safe_psql('postgres', qq(SELECT string_agg(key, ' ' ORDER BY ordinal) FROM mesh_outbox.dead_letter
		WHERE key LIKE '$step%')), "$step-bad1 $step-bad2", 'bad ones once, in order');
}

note 'of a product whose records are whole CloudEvents';
extra_outbox($node, 'sales.shipments', 'sales.shipments');
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.alter_product('sales.shipments', content_mode => 'structured');
	SELECT mesh_outbox.propose_contract('sales.shipments', 'OrderShipped', schema => '{"type": "object", "properties":
		{"id": {"type": "string"}}, "required": ["id"]}', key => '/id', version => '1.0.0', description => 'it is on its way');
	SELECT mesh_outbox.activate_contract('sales.shipments', 'OrderShipped', '1.0.0');
	SELECT mesh_outbox.set_enforcement('sales.shipments', 'OrderShipped', '1.0.0', 'quarantine', reason => 'test');
	INSERT INTO sales.shipments (event_type, payload) VALUES ('OrderShipped', '{"id": "structured", "unknown": 1}')));
ok(wait_published($node), 'the stream goes on');
is($node->safe_psql('postgres', q(
	SELECT d.payload FROM mesh_outbox.read_dead_letters((SELECT array_agg(dead_letter_id) FROM mesh_outbox.dead_letter
		WHERE key = 'structured')) d)), '{"id": "structured", "unknown": 1}', 'shown as it was in the outbox');

done_testing();
