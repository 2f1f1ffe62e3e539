package wattcast;

import org.apache.spark.sql.catalyst.expressions.CallMethodViaReflection;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.PlanExpression;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.plans.logical.ScriptTransformation;
import org.apache.spark.sql.catalyst.plans.logical.View;
import org.apache.spark.sql.execution.command.SetCommand;
import org.apache.spark.sql.execution.datasources.HadoopFsRelation;
import org.apache.spark.sql.execution.datasources.LogicalRelation;

/** Checks of Spark's analyser, for sessions made after it was injected: only what reads tables and views by name passes. */
public class ReadOnly implements scala.Function1 {
    public Object apply(Object session) {
        return new Check();
    }

    public static class Check implements scala.Function1 {
        public Object apply(Object plan) {
            check((LogicalPlan) plan);
            return scala.runtime.BoxedUnit.UNIT;
        }

        private void check(LogicalPlan plan) {
            if (plan instanceof View) return; // one of ours: nobody else can make any
            if (plan instanceof Command && !isRead(plan))
                refuse("SQL reads only here: SELECT, SHOW, DESCRIBE, EXPLAIN and USE are what there is.");
            if (plan instanceof ScriptTransformation) refuse("SQL runs no programs here.");
            if (plan instanceof LogicalRelation && isFile((LogicalRelation) plan))
                refuse("SQL reads tables and views by their names here, no files by their paths.");
            scala.collection.Iterator expressions = plan.expressions().iterator();
            while (expressions.hasNext()) check((Expression) expressions.next());
            scala.collection.Iterator children = plan.children().iterator();
            while (children.hasNext()) check((LogicalPlan) children.next());
        }

        private void check(Expression expression) {
            if (expression instanceof CallMethodViaReflection) refuse("SQL calls no methods of Java here.");
            if (expression instanceof PlanExpression && ((PlanExpression) expression).plan() instanceof LogicalPlan)
                check((LogicalPlan) ((PlanExpression) expression).plan());
            scala.collection.Iterator children = expression.children().iterator();
            while (children.hasNext()) check((Expression) children.next());
        }

        private boolean isRead(LogicalPlan plan) {
            String name = plan.getClass().getSimpleName();
            if (plan instanceof SetCommand) { // SET and SET key show; SET key = value changes
                scala.Option pair = ((SetCommand) plan).kv();
                return pair.isEmpty() || ((scala.Option) ((scala.Tuple2) pair.get())._2()).isEmpty();
            }
            return name.startsWith("Show") || name.startsWith("Describe") || name.startsWith("Explain")
                || name.equals("SetCatalogAndNamespace") || name.equals("SetNamespaceCommand");
        }

        /** Whether it is read by its path; Delta reads its own logs so, and tables for the views. */
        private boolean isFile(LogicalRelation relation) {
            if (!relation.catalogTable().isEmpty() || !(relation.relation() instanceof HadoopFsRelation)) return false;
            Object files = ((HadoopFsRelation) relation.relation()).location();
            return !files.getClass().getName().startsWith("org.apache.spark.sql.delta.");
        }

        private void refuse(String why) {
            throw new UnsupportedOperationException(why);
        }
    }
}
