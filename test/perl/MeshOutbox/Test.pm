
=pod

=head1 NAME

MeshOutbox::Test - servers, brokers and consumers for the TAP tests

=head1 DESCRIPTION

A test makes a server with C<new_node>, a broker with C<start_kafka> (Apache
Kafka) or none (the publisher's C<embedded> one), domains and outboxes with
C<simple_outbox>, and looks at topics as a read-committed consumer does with
C<consume>.  Nothing here waits for a time: everything waits for a condition.
The deadline only ends what hangs: it is PostgreSQL's own for tests
(PG_TEST_TIMEOUT_DEFAULT), too long to be met by a machine that is slow.

=cut

package MeshOutbox::Test;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use File::Path qw(make_path);
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

our @EXPORT = qw(
  new_node configure kill_server signal_worker process_state without_workers start_kafka kafka simple_outbox extra_outbox create_publisher
  emit emit_sql emit_into_crash wait_ready wait_published status wait_state consume consume_now consume_all consume_uncommitted
  values_of ids_of header fault await_fault await_crash worker_pid launcher_pid
  marker_group sql_fails until_true lsn decoded $SOON
);

my $python = $ENV{MO_PYTHON} // '/usr/bin/python3';
my $root = $ENV{MO_ROOT} // '.';
my @brokers;    # folders of clusters to stop at the end
my $json = JSON::PP->new->utf8;

# Seconds to wait for what is to happen.
my $PATIENCE = $PostgreSQL::Test::Utils::timeout_default;

# What does not wait for Kafka is done in this many seconds, however loaded the
# machine; Kafka's own patience is a minute.
our $SOON = 20;

# What every outbox of these tests accepts.
our $SCHEMA = q({"type": "object",
  "properties": {"id": {"type": "string"}, "n": {"type": "integer", "minimum": 0},
                 "pad": {"type": "string"}},
  "required": ["id", "n"], "additionalProperties": false});

=head2 Servers

=over

=item new_node(NAME, CONF, ...)

A running server with the extension preloaded and created in "postgres".
Lines of configuration may follow the name.

=cut

sub configure
{
	my ($node, @conf) = @_;
	append_to_file($node->data_dir . '/fault.conf', '');
	$node->append_conf('postgresql.conf', join("\n",
		q(shared_preload_libraries = 'mesh_outbox'),
		'wal_level = logical',
		'max_worker_processes = 24',
		'max_replication_slots = 10',
		'max_prepared_transactions = 10',
		q(log_min_messages = info),
		q(mesh_outbox.restart_delay = '100ms'),
		'restart_after_crash = on',
		q(include_if_exists = 'fault.conf'),
		@conf) . "\n");
	return;
}

sub new_node
{
	my ($name, @conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 'logical', extra => [ '--encoding=UTF8', '--locale=C' ]);
	configure($node, @conf);
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION mesh_outbox');
	return $node;
}

# A process's state as Linux names it; '' when it is gone, or only its parent
# has not noticed.
sub process_state
{
	my ($pid) = @_;
	my $stat = eval { slurp_file("/proc/$pid/stat") } // '';
	my ($state) = $stat =~ /.*\) (\S)/s;
	return ($state // 'X') =~ /[ZX]/ ? '' : $state;
}

# kill -9 of the postmaster; returns when nothing keeps a new one from starting:
# its own pid, even as a zombie's, or its orphans' shared memory.  It is stopped
# first, so that no child is born after they are counted.
sub kill_server
{
	my ($node) = @_;
	my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	kill 'STOP', $pid;
	until_true('the postmaster to stop', sub { process_state($pid) eq 'T' });
	my @children = split ' ', slurp_file("/proc/$pid/task/$pid/children");
	$node->kill9;
	ok(until_true('the orphans', sub { !-d "/proc/$pid" && !grep { process_state($_) } @children }),
		'nobody outlives the postmaster');
	return;
}

# Does something while the server runs without the library.
sub without_workers
{
	my ($node, $do) = @_;
	$node->stop;
	$node->append_conf('postgresql.conf', q(shared_preload_libraries = ''));
	$node->start;
	$do->();
	$node->stop;
	$node->append_conf('postgresql.conf', q(shared_preload_libraries = 'mesh_outbox'));
	$node->start;
	return;
}

# Polls a condition; false when the deadline came first.
sub until_true
{
	my ($what, $condition) = @_;
	my $deadline = Time::HiRes::time() + $PATIENCE;
	until ($condition->())
	{
		if (Time::HiRes::time() > $deadline)
		{
			diag("gave up waiting for $what");
			return 0;
		}
		Time::HiRes::usleep(30_000);
	}
	return 1;
}

sub lsn
{
	my ($node) = @_;
	return $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
}

# A failing statement's whole message.
sub sql_fails
{
	my ($node, $sql, $pattern, $name, %opt) = @_;
	my ($rc, $out, $err) = $node->psql($opt{db} // 'postgres', $sql,
		on_error_stop => 1, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	isnt($rc, 0, "$name: fails");
	like($err, $pattern, "$name: says why");
	return $err;
}

=item fault(NODE, ORDER), await_fault(NODE, ORDER, LOG POSITION)

Orders a crash or a wait at a step ("batch_commit_send:crash"); "" lifts it.

=cut

my $order_number = 0;

sub fault
{
	my ($node, $order) = @_;
	if ($order ne '')
	{
		$order .= ':1' unless $order =~ /:\d+$/;
		$order .= ':' . ++$order_number;
	}
	open(my $f, '>', $node->data_dir . '/fault.conf') or die $!;
	print $f "mesh_outbox.fault = '$order'\n";
	close($f);
	$node->reload;
	return $order;
}

sub await_fault
{
	my ($node, $order, $position) = @_;
	return until_true("fault point $order",
		sub { slurp_file($node->logfile, $position) =~ /fault point "\w+" reached: \Q$order\E/ });
}

# An order to crash carried out, and the server in service again.
sub await_crash
{
	my ($node, $order, $position) = @_;
	ok(await_fault($node, $order, $position), "$order is reached");
	ok(until_true('the end of crash recovery', sub {
		slurp_file($node->logfile, $position) =~
		  /terminated by signal 9.*database system is ready to accept connections/s }),
		'the server is back');
	fault($node, '');
	return;
}

# Pid of the publisher or scribe of a publisher, 0 while there is none.
sub worker_pid
{
	my ($node, $kind, $name, $db) = @_;
	$name //= 'main';
	my $pid = $node->safe_psql($db // 'postgres',
		"SELECT coalesce(${kind}_pid, 0) FROM mesh_outbox.publisher_status() WHERE name = '$name'");
	return $pid eq '' ? 0 : $pid;
}

# '' while there is none.
sub launcher_pid
{
	my ($node) = @_;
	return $node->safe_psql('postgres',
		q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'mesh_outbox launcher'));
}

# There must be one: 0 would be our own process group.
sub signal_worker
{
	my ($node, $signal, $kind) = @_;
	my $pid = 0;
	until_true("a $kind", sub { $pid = worker_pid($node, $kind) }) or die "no $kind\n";
	kill $signal, $pid;
	return $pid;
}

=back

=head2 Brokers and consumers

=over

=item start_kafka(COUNT)

Starts Apache Kafka, one broker or three; returns an object (a hash) with
"dir" and "bootstrap".

=cut

sub start_kafka
{
	my ($count) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir() . '/kafka';
	push @brokers, $dir;
	my $bootstrap = kafka('start', $dir, $count // 1);
	BAIL_OUT('no broker') unless $bootstrap;
	return { dir => $dir, bootstrap => $bootstrap };
}

# test/lib/kafka.py; returns what it prints.
sub kafka
{
	my ($command, $cluster, @args) = @_;
	my $where = ref $cluster ? $cluster->{dir} : $cluster;
	my ($out, $err) = ('', '');
	IPC::Run::run([ $python, "$root/test/lib/kafka.py", $command, $where, @args ],
		'<', \undef, '>', \$out, '2>', \$err)
	  or die "kafka.py $command @args: $err$out";
	chomp $out;
	return $out;
}

# A test that takes too long is ended by a signal; its brokers must end too.
$SIG{TERM} = $SIG{INT} = sub { exit 1 };

END
{
	my $status = $?;
	eval { kafka('stop', $_) } foreach @brokers;
	$? = $status;
}

# In the order of topic, partition and offset: Kafka knows no order between
# partitions.
sub read_topics
{
	my ($command, $bootstrap, @topics) = @_;
	$bootstrap = $bootstrap->{bootstrap} if ref $bootstrap;
	my @records;
	foreach my $line (split /\n/, kafka($command, $bootstrap, @topics))
	{
		my $r = $json->decode($line);
		$r->{header} = { map { $_->[0] => $_->[1] } @{ $r->{headers} } };
		push @records, $r;
	}
	@records = sort { $a->{topic} cmp $b->{topic} || $a->{partition} <=> $b->{partition} || $a->{offset} <=> $b->{offset} }
	  @records;
	return @records;
}

# Without control events, which announce contracts.
sub events_of { return grep { !exists $_->{header}{mesh_outbox_control} } @_; }

sub consume { return events_of(read_topics('consume', @_)); }

# What is visible while a transaction may be left open.
sub consume_now { return events_of(read_topics('consume-now', @_)); }

sub consume_all { return read_topics('consume', @_); }

sub consume_uncommitted { return events_of(read_topics('uncommitted', @_)); }

# The events' own ids ("id" in the payload).
sub values_of
{
	return map { $json->decode($_->{value})->{id} } @_;
}

sub ids_of { return map { $_->{header}{ce_id} } @_; }

sub header { my ($record, $name) = @_; return $record->{header}{$name}; }

sub decoded { return $json->decode($_[0]); }

# The consumer group that a publisher keeps its marker in.
sub marker_group
{
	my ($node) = @_;
	return $node->safe_psql('postgres', q(SELECT marker_group FROM mesh_outbox.publishers WHERE name = 'main'));
}

=back

=head2 Publishing

=over

=item simple_outbox(NODE, %options)

Domain "sales", product "sales.orders", contract OrderPlaced 1.0.0 and table
sales.outbox.

=cut

sub simple_outbox
{
	my ($node, %opt) = @_;
	my $db = $opt{db} // 'postgres';
	$node->safe_psql($db, q(
		CREATE SCHEMA sales;
		SELECT mesh_outbox.create_domain('sales', owner => current_user, description => 'sales');
	));
	extra_outbox($node, 'sales.orders', 'sales.outbox', %opt);
	return;
}

sub extra_outbox
{
	my ($node, $product, $table, %opt) = @_;
	my $db = $opt{db} // 'postgres';
	my $topic = $opt{topic} // $product;
	my $partitions = $opt{partitions} // 3;
	my $more = $opt{topic_config} ? ", topic_config => '$opt{topic_config}'" : '';
	$more .= ", replication => $opt{replication}" if $opt{replication};
	my $to = $opt{publisher} ? ", publisher => '$opt{publisher}'" : '';
	$node->safe_psql($db, qq(
		SELECT mesh_outbox.create_product('$product', purpose => 'tests', topic => '$topic',
			partitions => $partitions$more);
		SELECT mesh_outbox.propose_contract('$product', 'OrderPlaced', schema => \$s\$$SCHEMA\$s\$,
			key => '/id', version => '1.0.0', description => 'a customer placed an order');
		SELECT mesh_outbox.activate_contract('$product', 'OrderPlaced', '1.0.0');
		SELECT mesh_outbox.create_outbox('$table', product => '$product'$to);
	));
	return;
}

sub create_publisher
{
	my ($node, $brokers, %opt) = @_;
	my $db = $opt{db} // 'postgres';
	my $name = $opt{name} // 'main';
	my $options = $opt{options} // '{}';
	$brokers = $brokers->{bootstrap} if ref $brokers;
	$node->safe_psql($db, qq(
		SELECT mesh_outbox.create_publisher('$name', brokers => '$brokers', options => '$options')));
	ok(wait_ready($node, $name, $db), "publisher $name is ready");
	return;
}

sub wait_ready
{
	my ($node, $name, $db) = @_;
	$name //= 'main';
	$db //= 'postgres';
	return 1 if $node->safe_psql($db, "SELECT mesh_outbox.wait_ready('$name', '$PATIENCE s')") eq 't';
	diag(explain(status($node, $name, $db)));
	return 0;
}

=item emit(NODE, ID, N, ...), emit_sql(ID, N, TABLE)

Inserts one transaction with events ID, N.

=cut

sub emit_sql
{
	my ($id, $n, $table) = @_;
	$table //= 'sales.outbox';
	return qq(INSERT INTO $table (event_type, payload)
		VALUES ('OrderPlaced', jsonb_build_object('id', '$id', 'n', $n)));
}

sub emit
{
	my ($node, @events) = @_;
	my $sql = 'BEGIN;';
	while (my ($id, $n) = splice(@events, 0, 2))
	{
		$sql .= emit_sql($id, $n // 0) . ';';
	}
	$node->safe_psql('postgres', $sql . 'COMMIT;');
	return;
}

# A transaction that a crash may overtake before its client has the answer.
sub emit_into_crash
{
	my ($node, @statements) = @_;
	my ($rc, undef, $err) = $node->psql('postgres', join(';', 'BEGIN', @statements, 'COMMIT'));
	die $err if $rc == 3;    # an error of SQL is none of a crash
	return;
}

sub wait_published
{
	my ($node, $db, $name) = @_;
	$db //= 'postgres';
	my $whose = defined $name ? "publisher => '$name'" : 'publisher => NULL';
	my $done = $node->safe_psql($db,
		"SELECT mesh_outbox.wait_published(timeout => '$PATIENCE s', $whose)");
	return 1 if $done eq 't';
	# What follows would wait as long and prove nothing.
	diag(explain(status($node, $name, $db)));
	die "not published in $PATIENCE s\n";
}

# A row of the view publishers as a hash.
sub status
{
	my ($node, $name, $db) = @_;
	$name //= 'main';
	my $row = $node->safe_psql($db // 'postgres',
		"SELECT to_jsonb(p) FROM mesh_outbox.publishers AS p WHERE name = '$name'");
	return $row eq '' ? {} : JSON::PP->new->decode($row);
}

sub wait_state
{
	my ($node, $state, $name, $db) = @_;
	return 1 if until_true("state $state",
		sub { (status($node, $name, $db)->{state} // '') eq $state });
	diag(explain(status($node, $name, $db)));
	die "state $state did not come\n";
}

=back

=cut

1;
