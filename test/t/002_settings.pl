# Every setting: its range, and what a change while the server runs does.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
create_publisher($node, 'embedded');
simple_outbox($node);
my $brokers = status($node)->{brokers};
my $n = 0;

my $settings = $node->safe_psql('postgres', q(
	SELECT name, vartype, min_val, max_val, context FROM pg_settings
	WHERE name LIKE 'mesh\_outbox.%' AND name <> 'mesh_outbox.fault' ORDER BY 1));
cmp_ok(scalar(() = $settings =~ /^mesh_outbox/mg), '>=', 7, 'the settings are defined at server start');

foreach (split /\n/, $settings)
{
	my ($name, $type, $min, $max, $context) = split /\|/;
	note $name;
	unlike($context, qr/postmaster|internal/, "$name takes effect without a restart");
	isnt($node->safe_psql('postgres', "SELECT short_desc FROM pg_settings WHERE name = '$name'"), '',
		"$name is described");
	next unless $type eq 'integer';
	my $pid = worker_pid($node, 'publisher');
	foreach my $value ($min, $max)
	{
		$node->safe_psql('postgres', "ALTER SYSTEM SET $name = $value");
		$node->reload;
		ok(until_true("$name = $value", sub {
			$node->safe_psql('postgres', "SELECT setting FROM pg_settings WHERE name = '$name'") eq $value }),
			"$name = $value");
		emit($node, 'e' . ++$n => 1);
		ok(wait_published($node), "events flow with $name = $value");
	}
	sql_fails($node, "ALTER SYSTEM SET $name = '" . ($min - 1) . "'", qr/outside the valid range|invalid value/,
		"$name below $min");
	$node->safe_psql('postgres', "ALTER SYSTEM RESET $name");
	$node->reload;
	is(worker_pid($node, 'publisher'), $pid, "$name: the publisher took it without a restart");
}
is_deeply([ sort(values_of(consume($brokers, 'sales.orders'))) ], [ sort map { "e$_" } 1 .. $n ], 'every event once');

note 'a setting that nobody knows';
sql_fails($node, 'ALTER SYSTEM SET mesh_outbox.no_such_thing = 1', qr/no_such_thing/, 'misspelt setting');

note 'the ledger is kept as long as it says';
ok(until_true('ledger rows', sub {
	$node->safe_psql('postgres', 'SELECT count(*) > 0 FROM mesh_outbox.batches') eq 't' }), 'there are some');

done_testing();
