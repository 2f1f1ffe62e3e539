package wattcast;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.HashMap;
import java.util.Map;
import org.apache.hadoop.hive.conf.HiveConf;
import org.apache.hive.service.cli.CLIService;
import org.apache.hive.service.cli.HiveSQLException;
import org.apache.hive.service.cli.SessionHandle;
import org.apache.hive.service.cli.operation.OperationManager;
import org.apache.hive.service.cli.session.HiveSession;
import org.apache.hive.service.cli.session.SessionManager;
import org.apache.hive.service.rpc.thrift.TProtocolVersion;
import org.apache.hive.service.server.HiveServer2;
import org.apache.spark.SparkContext;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.hive.HiveUtils$;
import org.apache.spark.sql.hive.thriftserver.HiveThriftServer2;

/** Spark's Thrift server, in which the address of a client chooses the database and sets nothing else. */
public class ReadOnlyGateway {
    public static HiveThriftServer2 start(SparkSession session) throws Exception {
        HiveConf conf = HiveUtils$.MODULE$.newClientForExecution(
            session.sparkContext().conf(), session.sessionState().newHadoopConf()).conf();
        HiveThriftServer2 server = new HiveThriftServer2(session);
        server.init(conf);
        guardSessions(server);
        Class companion = Class.forName("org.apache.spark.sql.hive.thriftserver.HiveThriftServer2$");
        Method listen = companion.getDeclaredMethod("createListenerAndUI", HiveThriftServer2.class, SparkContext.class);
        listen.setAccessible(true);
        listen.invoke(companion.getField("MODULE$").get(null), server, session.sparkContext());
        server.start();
        return server;
    }

    /** Spark has no option for its session manager. */
    private static void guardSessions(HiveThriftServer2 server) throws Exception {
        Field serviceField = HiveServer2.class.getDeclaredField("cliService");
        serviceField.setAccessible(true);
        CLIService service = (CLIService) serviceField.get(server);
        Field managerField = CLIService.class.getDeclaredField("sessionManager");
        managerField.setAccessible(true);
        managerField.set(service, new GuardedSessions(server, service.getSessionManager()));
    }

    /** Opens sessions without the settings and variables of a client: some of them change the whole Java process. */
    public static class GuardedSessions extends SessionManager {
        private final SessionManager sessions;

        public GuardedSessions(HiveServer2 server, SessionManager sessions) {
            super(server);
            this.sessions = sessions;
        }

        public SessionHandle openSession(
            TProtocolVersion protocol, String user, String password, String address, Map settings
        ) throws HiveSQLException {
            return openSession(protocol, user, password, address, settings, false, null);
        }

        public SessionHandle openSession(
            TProtocolVersion protocol, String user, String password, String address, Map settings,
            boolean withImpersonation, String token
        ) throws HiveSQLException {
            Map database = new HashMap();
            if (settings != null && settings.containsKey("use:database")) database.put("use:database", settings.get("use:database"));
            return sessions.openSession(protocol, user, password, address, database, withImpersonation, token);
        }

        public void closeSession(SessionHandle handle) throws HiveSQLException {
            sessions.closeSession(handle);
        }

        public HiveSession getSession(SessionHandle handle) throws HiveSQLException {
            return sessions.getSession(handle);
        }

        public OperationManager getOperationManager() {
            return sessions.getOperationManager();
        }

        public int getOpenSessionCount() {
            return sessions.getOpenSessionCount();
        }
    }
}
