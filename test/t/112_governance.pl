# A change is announced before it happens: its consumers have notice, the
# governance topic tells of it, and a control event stands in every partition
# between the last event of the old version and the first of the new one,
# whatever dies meanwhile.

use strict;
use warnings FATAL => 'all';

use IPC::Run ();
use MeshOutbox::Test;
use Test::More;

my $partitions = 3;
my $kafka = start_kafka();
my $node = new_node('main');
create_publisher($node, $kafka);
simple_outbox($node, partitions => $partitions);
is($node->safe_psql('postgres', 'SELECT mesh_outbox.enable_governance_topic()'),
	'mesh_outbox.governance_outbox', 'the governance topic is switched on');
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.register_consumer('shipping', 'sales.orders', 'OrderPlaced',
		contact => 'parcels@example.org', needs => '{/id}')));

# Proposes the next minor version, with one more optional property.
my @extra;
sub propose
{
	my ($property) = @_;
	push @extra, qq("$property": {"type": "string"});
	my $properties = join(', ', '"id": {"type": "string"}', '"n": {"type": "integer", "minimum": 0}',
		'"pad": {"type": "string"}', @extra);
	return $node->safe_psql('postgres', qq(
		SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'with $property',
			schema => '{"type": "object", "properties": {$properties}, "required": ["id", "n"]}')));
}

# One event in each partition, and more.
sub emit_many
{
	my ($prefix) = @_;
	$node->safe_psql('postgres', qq(
		INSERT INTO sales.outbox (event_type, payload)
		SELECT 'OrderPlaced', jsonb_build_object('id', '$prefix' || g, 'n', g) FROM generate_series(1, 12) g));
	return;
}

# The records of a topic, by partition, in order.
sub by_partition
{
	my %parts;
	push @{ $parts{ $_->{partition} } }, $_ foreach @_;
	return \%parts;
}

# In each partition one control event for each of these versions, each
# directly in front of the first event under it: what came before was
# accepted under an earlier one.
sub announced_once
{
	my ($what, @versions) = @_;
	my $parts = by_partition(consume_all($kafka, 'sales.orders'));
	foreach my $p (0 .. $partitions - 1)
	{
		my $in_force = '1.0.0';
		my (@announced, %under, @stray);
		foreach my $r (@{ $parts->{$p} })
		{
			if (header($r, 'mesh_outbox_control'))
			{
				$in_force = decoded($r->{value})->{version};
				push @announced, $in_force;
				next;
			}
			my ($version) = header($r, 'ce_dataschema') =~ /:([\d.]+)$/;
			push @stray, "$version under $in_force at $r->{offset}" if $version ne $in_force;
			$under{$version}++;
		}
		is_deeply(\@announced, \@versions, "$what: partition $p has one control event for each version, in order");
		is_deeply(\@stray, [], "$what: partition $p has no event on the wrong side of one");
		is_deeply([ sort keys %under ], [ '1.0.0', @versions ], "$what: partition $p has events of all versions");
	}
	return;
}

# What the ledger has counted, when it is complete.
sub ledger
{
	ok(until_true('the ledger', sub {
		$node->safe_psql('postgres', q(SELECT (SELECT max(last_lsn) FROM mesh_outbox.batches) = marker_lsn
			FROM mesh_outbox.publishers)) eq 't' }), 'the ledger has the last batch');
	return $node->safe_psql('postgres', 'SELECT sum(events) FROM mesh_outbox.batches');
}

note 'OrderPlaced gets an optional discount_code, while others insert';
emit_many('before-');
my $version = propose('discount_code');
is($version, '1.1.0', 'accepted as a minor version');
is($node->safe_psql('postgres', q(SELECT consumer, version, status FROM mesh_outbox.notifications)),
	'shipping|1.1.0|proposed', 'the consumer has notice while it is only proposed');
ok(wait_published($node), 'published');
my @told = map { header($_, 'ce_type') =~ s/^mesh_outbox\.governance\.(\w+)\.v1$/$1/r }
  consume($kafka, 'mesh_outbox.governance');
is_deeply([ @told[ -2, -1 ] ], [qw(ContractProposed ConsumerNotified)], 'so does who reads the governance topic');
is(scalar(grep { header($_, 'mesh_outbox_control') } consume_all($kafka, 'sales.orders')), 0,
	'nothing is announced in the topic yet');

# Each in a transaction of its own, under whatever version is in force; the
# new property as soon as it is accepted.
my ($out, $err) = ('', '');
my $producer = IPC::Run::start(
	[ 'psql', '--no-psqlrc', '--quiet', '--dbname', $node->connstr('postgres'), '--command', qq(DO \$\$
		DECLARE
			after int := 0;
		BEGIN
			FOR i IN 1 .. 100000 LOOP
				BEGIN
					INSERT INTO sales.outbox (event_type, payload)
					VALUES ('OrderPlaced', jsonb_build_object('id', 'd' || i, 'n', i, 'discount_code', 'X'));
					after := after + 1;
				EXCEPTION WHEN check_violation THEN
					INSERT INTO sales.outbox (event_type, payload)
					VALUES ('OrderPlaced', jsonb_build_object('id', 'd' || i, 'n', i));
				END;
				COMMIT;
				EXIT WHEN after = 200;
			END LOOP;
		END \$\$;) ], '<', \undef, '>', \$out, '2>', \$err);
ok(until_true('inserts', sub {
	$node->safe_psql('postgres', q(SELECT count(*) > 50 FROM sales.outbox WHERE key LIKE 'd%')) eq 't' }),
	'a producer is inserting');
$node->safe_psql('postgres', q(CALL mesh_outbox.cut_over('sales.orders', 'OrderPlaced', '1.1.0')));
$producer->finish;
is($err, '', 'the producer went on under the new version');
ok(wait_published($node), 'published');
announced_once('while others insert', '1.1.0');
is(scalar(consume($kafka, 'sales.orders')), $node->safe_psql('postgres', 'SELECT count(*) FROM sales.outbox'),
	'every event is there once');

note 'what a control event looks like';
my ($control) = grep { header($_, 'mesh_outbox_control') } consume_all($kafka, 'sales.orders');
is(header($control, 'mesh_outbox_control'), 'contract-activated', 'a header tells it');
is(header($control, 'ce_type'), 'mesh_outbox.ContractActivated.v1', 'a type of its own');
is(header($control, 'ce_source'), 'urn:mesh-outbox:sales.orders', 'the product is its source');
like(header($control, 'ce_sequence'), qr/^[0-9A-F]{16}-[0-9A-F]{8}$/, 'its place in the stream');
is($control->{key}, '', 'an empty key');
is_deeply(decoded($control->{value}), {
	product => 'sales.orders', event_type => 'OrderPlaced', version => '1.1.0', previous_version => '1.0.0',
	ce_type => 'sales.orders.OrderPlaced.v1', ce_dataschema => 'urn:mesh-outbox:sales.orders:OrderPlaced:1.1.0',
	topic => 'sales.orders' }, 'which version, after which, in which topic');

sub in_force
{
	return $node->safe_psql('postgres',
		q(SELECT version FROM mesh_outbox.contracts WHERE product = 'sales.orders' AND in_force));
}

note 'crashes around the activation';
my @versions = ('1.1.0');
foreach my $step (qw(batch_plan batch_produce batch_send_offsets batch_commit_send batch_commit_acked slot_advance))
{
	my $next = propose($step);
	ok(wait_published($node), 'nothing else is under way');
	my $log = -s $node->logfile;
	my $order = fault($node, "$step:crash");
	# The crash may overtake the answer, not the commit that caused it.
	my ($rc, undef, $stderr) = $node->psql('postgres',
		qq(CALL mesh_outbox.cut_over('sales.orders', 'OrderPlaced', '$next')));
	isnt($rc, 3, "$step: no error of SQL") or diag($stderr);
	await_crash($node, $order, $log);
	# Other tables' traffic lets the slot advance, too: then the crash came
	# before the activation.
	$node->safe_psql('postgres', qq(CALL mesh_outbox.cut_over('sales.orders', 'OrderPlaced', '$next')))
	  if $step eq 'slot_advance' && in_force() ne $next;
	is(in_force(), $next, "$step: activated");
	push @versions, $next;
	emit_many("$step-");
	ok(wait_published($node), "$step: goes on");
	announced_once("crash at $step", @versions);
}

note 'the server killed right behind an activation, with events on both sides';
my $next = propose('killed');
emit_many('last-');
$node->safe_psql('postgres', qq(CALL mesh_outbox.cut_over('sales.orders', 'OrderPlaced', '$next')));
kill_server($node);
$node->start;
push @versions, $next;
emit_many('killed-');
ok(wait_published($node), 'goes on');
announced_once('server killed', @versions);

note 'a control event larger than a Kafka transaction may be';
$node->append_conf('postgresql.conf', 'mesh_outbox.max_transaction_events = 2');
$node->reload;
$next = propose('split');
$node->safe_psql('postgres', qq(CALL mesh_outbox.cut_over('sales.orders', 'OrderPlaced', '$next')));
push @versions, $next;
emit_many('split-');
ok(wait_published($node), 'goes on');
announced_once('in parts', @versions);
$node->append_conf('postgresql.conf', 'mesh_outbox.max_transaction_events = 50000');
$node->reload;

note 'a compacted topic, structured mode, and a new major';
my $counted = ledger();
my @topics = qw(sales.orders mesh_outbox.governance);
my $before = () = consume_all($kafka, @topics);
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.create_product('sales.stock', purpose => 'tests', partitions => 2,
		content_mode => 'structured', topic_config => '{"cleanup.policy": "compact"}');
	SELECT mesh_outbox.propose_contract('sales.stock', 'Counted', key => '/id', description => 'somebody counted the stock',
		schema => '{"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}');
	SELECT mesh_outbox.activate_contract('sales.stock', 'Counted', '1.0.0');
	SELECT mesh_outbox.create_outbox('sales.stock', product => 'sales.stock');
	SELECT mesh_outbox.propose_contract('sales.stock', 'Counted', key => '/id', version => '2.0.0', description => 'somebody counted the stock',
		schema => '{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}');
	SELECT mesh_outbox.activate_contract('sales.stock', 'Counted', '2.0.0');
	INSERT INTO sales.stock (event_type, major_version, payload) VALUES ('Counted', 1, '{"id": "x"}'), ('Counted', 2, '{"id": 1}');
));
ok(wait_published($node), 'published');
foreach my $topic ('sales.stock', 'sales.stock.v2')
{
	my @controls = grep { header($_, 'mesh_outbox_control') } consume_all($kafka, $topic);
	is_deeply([ sort map { $_->{partition} } @controls ], [ 0, 1 ], "$topic: one in each partition");
	my $envelope = decoded($controls[0]->{value});
	is($envelope->{type}, 'mesh_outbox.ContractActivated.v1', "$topic: its type in the envelope");
	is($envelope->{data}{topic}, 'sales.stock.v2', "$topic: and where the major is");
	is(scalar(consume($kafka, $topic)), 1, "$topic: its event is there");
}

note 'what is written down';
is($node->safe_psql('postgres', 'SELECT count(*) FROM mesh_outbox.dead_letters'), '0', 'no dead letters');
my $after = () = consume_all($kafka, @topics, 'sales.stock', 'sales.stock.v2');
is(ledger() - $counted, $after - $before,
	'the ledger counts control events as it counts others');
my @governance = consume($kafka, 'mesh_outbox.governance');
is(scalar(grep { header($_, 'ce_type') =~ /ContractActivated/ } @governance), @versions + 2,
	'each activation is told once');
my $published = '[' . join(',', map { $_->{value} } @governance) . ']';
is($node->safe_psql('postgres', "SELECT count(*) FROM mesh_outbox.verify_audit(\$j\$$published\$j\$)"), '0',
	'the audit record is what the topic says');
$node->safe_psql('postgres', q(
	ALTER TABLE mesh_outbox.audit DISABLE TRIGGER keep;
	DO $$
	DECLARE
		link mesh_outbox.audit;
		last bytea := '\x';
	BEGIN
		FOR link IN SELECT * FROM mesh_outbox.audit ORDER BY audit_no LOOP
			link.session_role := 'nobody';
			link.previous_hash := last;
			link.hash := mesh_outbox.audit_hash(link);
			last := link.hash;
			UPDATE mesh_outbox.audit SET session_role = 'nobody', previous_hash = link.previous_hash, hash = last
			WHERE audit_no = link.audit_no;
		END LOOP;
		UPDATE mesh_outbox.audit_head SET hash = last;
	END $$));
is($node->safe_psql('postgres', 'SELECT count(*) FROM mesh_outbox.verify_audit()'), '0',
	'a record written anew is sound by itself');
is($node->safe_psql('postgres', "SELECT count(*) FROM mesh_outbox.verify_audit(\$j\$$published\$j\$)"),
	scalar @governance, 'but the topic shows it');

note 'a control event that nobody can publish';
# Only a superuser writes the table by hand.
$node->safe_psql('postgres', q(
	BEGIN;
	INSERT INTO mesh_outbox.control_event
	SELECT gen_random_uuid(), p.publisher_id, c.contract_id, v.partition, 'mesh_outbox.Forged.v1', now(), now(), '{}', '{}'
	FROM mesh_outbox.publishers p, (VALUES (3), (-1)) v(partition),
		(SELECT max(contract_id) AS contract_id FROM mesh_outbox.contracts WHERE product = 'sales.orders') c;
	INSERT INTO mesh_outbox.control_event
	VALUES (gen_random_uuid(), (SELECT publisher_id FROM mesh_outbox.publishers), 987654, 0,
		'mesh_outbox.Forged.v1', now(), now(), '{}', '{}');
	DELETE FROM mesh_outbox.control_event;
	COMMIT;
));
emit_many('forged-');
ok(wait_published($node), 'the stream goes on');
is($node->safe_psql('postgres', q(SELECT string_agg(reason, ' ' ORDER BY ordinal) FROM mesh_outbox.dead_letters)),
	'invalid_partition invalid_partition no_contract', 'each is a dead letter, with the reason');
announced_once('after forged ones', @versions);

done_testing();
