# What a DBA does to a database as a whole: settings for its sessions, which are
# none of ours, and templates.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main');
$node->safe_psql('postgres', q(CREATE ROLE maker LOGIN CREATEDB; CREATE DATABASE app ENCODING 'UTF8' TEMPLATE template0));
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
my %known = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', 'SELECT name FROM pg_settings');
push @settings, q(transaction_timeout = '1ms') if $known{transaction_timeout};    # since 17
$node->safe_psql('postgres', "ALTER DATABASE app SET $_") foreach @settings;
$node->restart;
my @ours = qw(role=none session_replication_role=origin
	default_transaction_read_only=off statement_timeout=0 lock_timeout=0 datestyle=ISO);
push @ours, 'transaction_timeout=0' if $known{transaction_timeout};
{
	local $ENV{PGOPTIONS} = join ' ', map { "-c $_" } grep { !/^role/ } @ours;
	is($node->safe_psql('app', 'SELECT current_user'), 'maker', 'sessions have them');
	$ENV{PGOPTIONS} = join ' ', map { "-c $_" } @ours;
	publishes('second', 'whatever is set');
}
$node->safe_psql('postgres', 'ALTER DATABASE app RESET ALL');

note 'a template';
$node->safe_psql('postgres', 'ALTER DATABASE app IS_TEMPLATE true');
$node->restart;
publishes('third', 'a template');
$node->safe_psql('postgres', 'CREATE DATABASE made TEMPLATE app', extra_params => [ '-U', 'maker' ]);
is($node->safe_psql('made', 'SELECT count(*) FROM sales.outbox'), 3, 'whoever may create databases can copy it');
$node->safe_psql('app', 'CREATE DATABASE made2 TEMPLATE app');
is($node->safe_psql('made2', 'SELECT count(*) FROM sales.outbox'), 3, 'so can who is in it');
publishes('fourth', 'copied');

note 'the template that is meant when none is named';
$node->safe_psql('template1', 'CREATE EXTENSION mesh_outbox');
create_publisher($node, 'embedded', db => 'template1');
$node->safe_psql('postgres', 'CREATE DATABASE plain', extra_params => [ '-U', 'maker' ]);
is(status($node, 'main', 'plain')->{state}, 'paused', 'what came with it is paused');

done_testing();
