# A new major version through its life, on librdkafka's in-process broker: each
# major has its topic, one INSERT is published in both, in the same order,
# until the old major is retired.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $node = new_node('main');
create_publisher($node, 'embedded');
$node->safe_psql('postgres', q(
	CREATE ROLE sales_team;
	CREATE SCHEMA sales AUTHORIZATION sales_team;
	SELECT mesh_outbox.create_domain('sales', owner => 'sales_team', description => 'sales');
	SET ROLE sales_team;
	SELECT mesh_outbox.create_product('sales.orders', purpose => 'orders', partitions => 3);
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'a customer ordered',
		schema => '{"type": "object", "properties": {"id": {"type": "string"}, "user_id": {"type": "integer"}},
			"required": ["id", "user_id"]}');
	SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
	SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
	SELECT mesh_outbox.register_consumer('billing', 'sales.orders', 'OrderPlaced', contact => 'x', needs => '{/user_id}');
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'a customer ordered',
		version => '2.0.0', schema => '{"type": "object", "properties": {"id": {"type": "string"},
			"user_id": {"type": "string", "format": "uuid"}}, "required": ["id", "user_id"]}');
	CREATE FUNCTION sales.as_v1(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
		RETURN payload || jsonb_build_object('user_id', ('x' || right(payload ->> 'user_id', 7))::bit(28)::int);
	SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 2, 1, 'sales.as_v1');
	SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '2.0.0');
));
my $brokers = status($node)->{brokers};

sub v1_sql { return qq(INSERT INTO sales.outbox (event_type, payload) VALUES ('OrderPlaced', '{"id": "$_[0]", "user_id": $_[1]}')) }

sub v2_sql
{
	my ($id, $n) = @_;
	my $uuid = sprintf('3b241101-e2bb-4255-8caf-%012x', $n);
	return qq(INSERT INTO sales.outbox (event_type, major_version, payload)
		VALUES ('OrderPlaced', 2, '{"id": "$id", "user_id": "$uuid"}'));
}

# The one letter there is, as soon as the publisher has left it behind.
sub retry_all
{
	my $retried;
	ok(until_true('the letter to be left behind', sub {
		$node->safe_psql('postgres', v1_sql('passing', 1));
		(my $rc, $retried, my $err) = $node->psql('postgres', q(
			SELECT mesh_outbox.retry_dead_letters(array_agg(dead_letter_id)) FROM mesh_outbox.dead_letters));
		die $err if $rc && $err !~ /has not left dead letter/;
		return !$rc;
	}), 'left behind');
	is($retried, '1', 'retried');
	return;
}

sub users_of { return map { decoded($_->{value})->{user_id} } @_; }

note 'producers of both kinds, transactions that commit and that do not';
$node->safe_psql('postgres', join(';', 'BEGIN', v1_sql('same', 1), v2_sql('same', 2), 'COMMIT'));
$node->safe_psql('postgres', join(';', 'BEGIN', v2_sql('same', 3), 'ROLLBACK'));
$node->safe_psql('postgres', join(';', 'BEGIN', v2_sql('same', 4), 'SAVEPOINT s', v2_sql('same', 5),
	'ROLLBACK TO s', v2_sql('same', 6), 'COMMIT'));
$node->safe_psql('postgres', v2_sql('other', 7));
ok(wait_published($node), 'published');

my @old = consume($brokers, 'sales.orders');
my @new = consume($brokers, 'sales.orders.v2');
is_deeply([ users_of(grep { $_->{key} eq 'same' } @old) ], [ 1, 2, 4, 6 ],
	'the old topic has every event once, in the order of the transactions');
is(scalar(@old), 5, 'and that of the other key');
is(scalar(@new), 4, 'the new topic has those of the producers that have moved');
is(header($_, 'ce_type'), 'sales.orders.OrderPlaced.v1', 'type in the old topic') foreach $old[0];
is(header($_, 'ce_type'), 'sales.orders.OrderPlaced.v2', 'type in the new topic') foreach $new[0];
my %ids = map { $_ => 1 } ids_of(@old, @new);
is(scalar(keys %ids), 9, 'each has an id of its own');
is_deeply([ sort grep { defined } map { header($_, 'ce_causationid') } @old ], [ sort(ids_of(@new)) ],
	'what was converted names its cause');

note 'an event in quarantine is not converted, but when it is tried again';
$node->safe_psql('postgres', q(SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '2.0.0', 'quarantine', reason => 'tests')));
(my $odd = v2_sql('odd', 10)) =~ s/3b241101/not-hex-/;
$node->safe_psql('postgres', $odd);
ok(wait_published($node), 'published');
is($node->safe_psql('postgres', 'SELECT reason FROM mesh_outbox.dead_letters'), 'quarantined', 'a dead letter');
$node->safe_psql('postgres', q(SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '2.0.0', 'observe', reason => 'tests')));
retry_all();
ok(wait_published($node), 'published');
my ($newer, $another) = grep { $_->{key} eq 'odd' } consume($brokers, 'sales.orders.v2');
my ($older, $other) = grep { $_->{key} eq 'odd' } consume($brokers, 'sales.orders');
ok(!$another && !$other, 'once in each topic');
is_deeply([ users_of($older) ], [10], 'the old one has its older form');
is(header($older, 'ce_causationid'), header($newer, 'ce_id'), 'with the event as its cause');
is(header($older, 'ce_type'), 'sales.orders.OrderPlaced.v1', 'and the old type');

note 'nor is one in turn, through all the majors there are';
$node->safe_psql('postgres', q(
	SET ROLE sales_team;
	SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/id', description => 'a customer ordered',
		version => '3.0.0', schema => '{"type": "object", "properties": {"id": {"type": "string"},
			"user": {"type": "string", "format": "uuid"}}, "required": ["id", "user"]}');
	CREATE FUNCTION sales.as_v2(payload jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
		RETURN jsonb_build_object('id', payload -> 'id', 'user_id', payload -> 'user');
	SELECT mesh_outbox.register_conversion('sales.orders', 'OrderPlaced', 3, 2, 'sales.as_v2');
	SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '3.0.0');
	SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '3.0.0', 'quarantine', reason => 'tests');
	INSERT INTO sales.outbox (event_type, major_version, payload) VALUES ('OrderPlaced', 3,
		'{"id": "third", "user": "3b241101-e2bb-4255-8caf-00000000000b", "undeclared": 1}');
));
ok(wait_published($node), 'published');
$node->safe_psql('postgres', q(SELECT mesh_outbox.set_enforcement('sales.orders', 'OrderPlaced', '3.0.0', 'observe', reason => 'tests')));
retry_all();
ok(wait_published($node), 'published');
my @forms = map { grep { $_->{key} eq 'third' } consume($brokers, $_) } qw(sales.orders.v3 sales.orders.v2 sales.orders);
is_deeply([ map { header($_, 'ce_type') } @forms ], [ map { "sales.orders.OrderPlaced.v$_" } 3, 2, 1 ], 'once in each topic');
is_deeply([ map { header($_, 'ce_causationid') } @forms ], [ undef, map { header($_, 'ce_id') } @forms[ 0, 1 ] ],
	'each with the one it was made of as its cause');

note 'the old major ends';
sql_fails($node, q(SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0')), qr/is in use/,
	'not while it has consumers');
$node->safe_psql('postgres', q(
	SELECT mesh_outbox.unregister_consumer('billing', 'sales.orders', 'OrderPlaced');
	SELECT mesh_outbox.retire_contract('sales.orders', 'OrderPlaced', '1.0.0', force_reason => 'all have moved')));
$node->safe_psql('postgres', v2_sql('after', 8));
sql_fails($node, v1_sql('after', 9), qr/no contract of .* 1\.x is in force/, 'a producer that has not moved is refused');
ok(wait_published($node), 'published');
is(scalar(consume($brokers, 'sales.orders.v2')), 7, 'the new topic goes on');
is(scalar(grep { $_->{key} eq 'after' } consume($brokers, 'sales.orders')), 0, 'the old one does not');

done_testing();
