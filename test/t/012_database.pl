# What a DBA does to a database as a whole: settings for its sessions, which are
# none of ours.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
$node->safe_psql('postgres', q(CREATE ROLE maker LOGIN; CREATE DATABASE app ENCODING 'UTF8' TEMPLATE template0));
$node->safe_psql('app', 'CREATE EXTENSION mesh_outbox');
create_publisher($node, 'embedded', db => 'app');
simple_outbox($node, db => 'app');

sub publishes
{
	my ($id, $what) = @_;
	$node->safe_psql('app', emit_sql($id, 1));
	ok(wait_published($node, 'app'), "$what: published");
	# Broker and topic end with the publisher.
	my $brokers = status($node, 'main', 'app')->{brokers};
	is_deeply([ grep { $_ eq $id } values_of(consume($brokers, 'sales.orders')) ], [$id], "$what: once");
	return;
}
publishes('first', 'as created');

note 'settings of the database, and of the superuser that workers are';
my @settings = (
	q(role = 'maker'), 'session_replication_role = replica', 'default_transaction_read_only = on',
	'default_transaction_isolation = serializable', 'default_transaction_deferrable = on',
	q(statement_timeout = '1ms'), q(lock_timeout = '1ms'), q(search_path = 'nowhere'), q(datestyle = 'German'),
	'quote_all_identifiers = on', 'row_security = off');
$node->safe_psql('postgres', "ALTER DATABASE app SET $_") foreach @settings;
$node->restart;
is($node->safe_psql('app', 'SET statement_timeout = 0; SELECT current_user'), 'maker', 'sessions have them');
{
	local $ENV{PGOPTIONS} = join ' ', map { "-c $_" } qw(role=none session_replication_role=origin
	  default_transaction_read_only=off statement_timeout=0 lock_timeout=0 datestyle=ISO);
	publishes('second', 'whatever is set');
}
$node->safe_psql('postgres', 'ALTER DATABASE app RESET ALL');

done_testing();
