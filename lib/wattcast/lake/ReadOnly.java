package wattcast;

import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.catalyst.analysis.AnalysisContext;
import org.apache.spark.sql.catalyst.analysis.NamedRelation;
import org.apache.spark.sql.catalyst.analysis.RelationTimeTravel;
import org.apache.spark.sql.catalyst.analysis.ResolvedTable;
import org.apache.spark.sql.catalyst.analysis.UnresolvedFunction;
import org.apache.spark.sql.catalyst.analysis.UnresolvedIdentifier;
import org.apache.spark.sql.catalyst.analysis.UnresolvedRelation;
import org.apache.spark.sql.catalyst.analysis.UnresolvedTable;
import org.apache.spark.sql.catalyst.analysis.UnresolvedTableOrView;
import org.apache.spark.sql.catalyst.analysis.UnresolvedView;
import org.apache.spark.sql.catalyst.expressions.CallMethodViaReflection;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.PlanExpression;
import org.apache.spark.sql.catalyst.plans.QueryPlan;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.ParsedStatement;
import org.apache.spark.sql.catalyst.plans.logical.ScriptTransformation;
import org.apache.spark.sql.catalyst.plans.logical.View;
import org.apache.spark.sql.catalyst.rules.Rule;
import org.apache.spark.sql.catalyst.trees.TreeNode;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.delta.DeltaLogFileIndex;
import org.apache.spark.sql.delta.files.TahoeFileIndex;
import org.apache.spark.sql.execution.command.SetCommand;
import org.apache.spark.sql.execution.datasources.HadoopFsRelation;
import org.apache.spark.sql.execution.datasources.LogicalRelation;

/**
 * Rules of Spark's analyser, for sessions created after they were injected: they accept only queries of the tables and views by
 * name. The first runs before a name is looked up, so that no file is opened; the second checks the result.
 */
public class ReadOnly {
    private static final String READS_BY_NAME = "This session reads tables and views by name, not files by path.";

    private final java.util.Set paths = new java.util.HashSet();

    /** Adds the rules to every session that is created later; they accept the Delta tables in these folders. */
    public static void inject(SparkSession session, String[] folders) throws java.io.IOException {
        final ReadOnly rules = new ReadOnly();
        for (int i = 0; i < folders.length; i++) {
            Path folder = new Path(folders[i]);
            rules.paths.add(folder.getFileSystem(session.sessionState().newHadoopConf()).makeQualified(folder));
        }
        session.extensions().injectHintResolutionRule(new scala.runtime.AbstractFunction1() {
            public Object apply(Object newSession) {
                return rules.new NameRule();
            }
        });
        session.extensions().injectCheckRule(new scala.runtime.AbstractFunction1() {
            public Object apply(Object newSession) {
                return rules.new CheckRule();
            }
        });
    }

    /** Checks names as they are written. */
    private class NameRule extends Rule {
        public TreeNode apply(TreeNode plan) {
            if (AnalysisContext.get().nestedViewDepth() == 0) check((LogicalPlan) plan);
            return plan; // a view of Wattcast names its table by path
        }
    }

    /** Checks what the names stand for. */
    private class CheckRule extends scala.runtime.AbstractFunction1 {
        public Object apply(Object plan) {
            check((LogicalPlan) plan);
            return scala.runtime.BoxedUnit.UNIT;
        }
    }

    private void check(LogicalPlan plan) {
        if (plan instanceof View) return; // a view of Wattcast: read-only sessions cannot create any
        if ((plan instanceof Command || plan instanceof ParsedStatement) && !isRead(plan))
            refuse("This session is read-only: use SELECT, SHOW, DESCRIBE, EXPLAIN or USE.");
        if (plan instanceof ScriptTransformation) refuse("This session does not run programs.");
        if (isByPath(plan) || isStored(plan) || isOfDelta(plan)) refuse(READS_BY_NAME);
        if (plan instanceof RelationTimeTravel) check(((RelationTimeTravel) plan).relation());
        checkAll(plan.expressions());
        checkAll(plan.children());
        checkAll(plan.innerChildren()); // the queries of WITH
    }

    private void checkAll(scala.collection.Iterable parts) {
        scala.collection.Iterator iterator = parts.iterator();
        while (iterator.hasNext()) {
            Object part = iterator.next();
            if (part instanceof LogicalPlan) check((LogicalPlan) part);
            if (part instanceof Expression) check((Expression) part);
        }
    }

    private void check(Expression expression) {
        if (expression instanceof CallMethodViaReflection) refuse("This session does not call Java methods.");
        if (expression instanceof UnresolvedFunction && readsFiles((UnresolvedFunction) expression))
            refuse("This session does not use the functions of Avro and Protobuf, which read files.");
        if (expression instanceof PlanExpression) {
            QueryPlan subquery = ((PlanExpression) expression).plan();
            if (subquery instanceof LogicalPlan) check((LogicalPlan) subquery);
        }
        checkAll(expression.children());
    }

    /** Whether the schema of a function can be the name of a file. */
    private boolean readsFiles(UnresolvedFunction function) {
        String name = ((String) function.nameParts().last()).toLowerCase(java.util.Locale.ROOT);
        return name.endsWith("_protobuf") || name.endsWith("_avro");
    }

    private boolean isRead(LogicalPlan plan) {
        String name = plan.getClass().getSimpleName();
        if (plan instanceof SetCommand) { // SET and SET key print; SET key = value changes
            scala.Option pair = ((SetCommand) plan).kv();
            return pair.isEmpty() || ((scala.Option) ((scala.Tuple2) pair.get())._2()).isEmpty();
        }
        return name.startsWith("Show") || name.startsWith("Describe") || name.startsWith("Explain")
            || name.equals("SetCatalogAndNamespace") || name.equals("SetNamespaceCommand");
    }

    /** Whether a name has a format or another catalog in front of it, as in delta.`path`. A namespace alone is no path. */
    private boolean isByPath(LogicalPlan plan) {
        scala.collection.Seq parts = null;
        if (plan instanceof UnresolvedRelation) parts = ((UnresolvedRelation) plan).multipartIdentifier();
        if (plan instanceof UnresolvedTable) parts = ((UnresolvedTable) plan).multipartIdentifier();
        if (plan instanceof UnresolvedView) parts = ((UnresolvedView) plan).multipartIdentifier();
        if (plan instanceof UnresolvedTableOrView) parts = ((UnresolvedTableOrView) plan).multipartIdentifier();
        if (plan instanceof UnresolvedIdentifier) parts = ((UnresolvedIdentifier) plan).nameParts();
        if (parts == null || parts.size() == 1) return false;
        String qualifier = ((scala.collection.Seq) parts.init()).mkString(".").toLowerCase(java.util.Locale.ROOT);
        return !qualifier.equals("default") && !qualifier.equals("spark_catalog.default");
    }

    /** Whether it reads something else than the tables behind the views. Delta reads its own logs as files. */
    private boolean isStored(LogicalPlan plan) {
        if (plan instanceof ResolvedTable) return true;
        if (!(plan instanceof LogicalRelation)) return plan instanceof NamedRelation && plan.resolved();
        if (!(((LogicalRelation) plan).relation() instanceof HadoopFsRelation)) return true;
        Object files = ((HadoopFsRelation) ((LogicalRelation) plan).relation()).location();
        if (files instanceof TahoeFileIndex) return !paths.contains(((TahoeFileIndex) files).path());
        return !(files instanceof DeltaLogFileIndex);
    }

    /** Whether it is a statement or function of Delta, which take paths. */
    private boolean isOfDelta(LogicalPlan plan) {
        String name = plan.getClass().getName();
        return name.startsWith("org.apache.spark.sql.delta.") || name.startsWith("io.delta.");
    }

    private static void refuse(String why) {
        throw new UnsupportedOperationException(why);
    }
}
