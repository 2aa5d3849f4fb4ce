//! The OpenAPI document, from the table of routes and the types of the bodies.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http::Method;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder,
    PathsBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema, SecurityRequirement,
    Type,
};
use utoipa::{PartialSchema, ToSchema};

use super::encoding::{Encoding, LINES};
use super::page::LIMIT_MAX;
use super::problem::{self, Problem};
use super::routes::{Operation, ROUTES, Route};
use super::{answer, batch, event, groups, message, receive, send, statistics, subscribe, topics};

const DESCRIPTION: &str = "Sends, receives and reads groups of a Towpath layer. Bodies are JSON or \
MessagePack, by `Content-Type` and `Accept`; binary data is base64 text in JSON and bin in \
MessagePack. Every problem is JSON (RFC 9457).";

/// What the security scheme is called.
const SCHEME: &str = "token";

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// The document as it is served.
pub(super) fn text() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
        // Made of texts and maps, it always has a JSON form; a test reads it.
        serde_json::to_vec(&document()).unwrap_or_default().into()
    });
    TEXT.clone()
}

fn document() -> OpenApi {
    let mut schemas = Schemas::new();
    let problem = named::<Problem>(&mut schemas);
    let mut paths = PathsBuilder::new();
    for route in ROUTES {
        let item = PathItem::new(
            method(&route.method),
            operation(route, &mut schemas, &problem),
        );
        paths = paths.path(route.path, item);
    }
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("One of the tokens of `api.tokens`."))
        .build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(SCHEME, SecurityScheme::Http(token))
        .build();
    let info = InfoBuilder::new()
        .title("Towpath layer")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components))
        .security(Some([requirement()]))
        .build()
}

fn requirement() -> SecurityRequirement {
    SecurityRequirement::new::<_, [&str; 0], &str>(SCHEME, [])
}

fn method(method: &Method) -> HttpMethod {
    if *method == Method::GET {
        HttpMethod::Get
    } else {
        HttpMethod::Post
    }
}

fn operation(
    route: &Route,
    schemas: &mut Schemas,
    problem: &Ref,
) -> utoipa::openapi::path::Operation {
    let description = (!route.description.is_empty()).then_some(route.description);
    let mut operation = OperationBuilder::new()
        .operation_id(Some(route.operation.id()))
        .summary(Some(route.summary))
        .description(description);
    for parameter in parameters(route) {
        operation = operation.parameter(parameter);
    }
    if let Some(schema) = takes(route.operation, schemas) {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content(Encoding::JSON, content.clone())
            .content(Encoding::MESSAGE_PACK, content)
            .build();
        operation = operation.request_body(Some(body));
    }
    if route.operation == Operation::OpenApi {
        // Nobody has to be let in for it.
        operation = operation.securities(Some([SecurityRequirement::default()]));
    } else {
        operation = operation.response("default", refusal(problem));
    }
    operation
        .response("200", success(route.operation, schemas))
        .build()
}

fn refusal(problem: &Ref) -> Response {
    let content = ContentBuilder::new().schema(Some(problem.clone())).build();
    ResponseBuilder::new()
        .description("It was not done")
        .content(problem::MEDIA_TYPE, content)
        .build()
}

fn success(operation: Operation, schemas: &mut Schemas) -> Response {
    let mut response = ResponseBuilder::new().description("It was done");
    if operation == Operation::OpenApi {
        let object = ObjectBuilder::new().schema_type(Type::Object).build();
        let content = ContentBuilder::new().schema(Some(object)).build();
        return response.content(Encoding::JSON, content).build();
    }
    if operation == Operation::TopicSubscribe {
        let line = named::<subscribe::Line>(schemas);
        let content = ContentBuilder::new().schema(Some(line)).build();
        return response.content(LINES, content).build();
    }
    let schema = gives(operation, schemas);
    let content = ContentBuilder::new().schema(Some(schema)).build();
    response = response
        .content(Encoding::JSON, content.clone())
        .content(Encoding::MESSAGE_PACK, content);
    if operation == Operation::Members {
        let line = named::<groups::MemberAnswer>(schemas);
        let content = ContentBuilder::new().schema(Some(line)).build();
        response = response.content(LINES, content);
    }
    response.build()
}

/// What an operation reads.
fn takes(operation: Operation, schemas: &mut Schemas) -> Option<Ref> {
    match operation {
        Operation::Send => Some(named::<send::Send>(schemas)),
        Operation::GroupSend => Some(named::<send::GroupSend>(schemas)),
        Operation::TopicBroadcast => Some(named::<topics::TopicBroadcast>(schemas)),
        Operation::TopicDisconnect => Some(named::<topics::TopicDisconnect>(schemas)),
        Operation::Add => Some(named::<groups::Add>(schemas)),
        Operation::Discard => Some(named::<groups::Discard>(schemas)),
        Operation::Cancel => Some(named::<send::Cancel>(schemas)),
        Operation::Batch => Some(named::<batch::Batch>(schemas)),
        Operation::Receive => Some(named::<receive::Receive>(schemas)),
        Operation::OpenApi
        | Operation::TopicSubscribe
        | Operation::Groups
        | Operation::Group
        | Operation::Members
        | Operation::Membership
        | Operation::GroupsOf
        | Operation::Statistics
        | Operation::ChannelStatistics
        | Operation::Flush => None,
    }
}

/// What an operation answers.
fn gives(operation: Operation, schemas: &mut Schemas) -> Ref {
    match operation {
        Operation::Send => named::<send::Sent>(schemas),
        Operation::GroupSend | Operation::TopicBroadcast | Operation::TopicDisconnect => {
            named::<message::DeliveryAnswer>(schemas)
        }
        Operation::Cancel => named::<send::Cancelled>(schemas),
        Operation::Batch => named::<batch::Results>(schemas),
        Operation::Receive => named::<event::Messages>(schemas),
        Operation::Groups | Operation::GroupsOf => named::<groups::Groups>(schemas),
        Operation::Group => named::<groups::Group>(schemas),
        Operation::Members => named::<groups::Members>(schemas),
        Operation::Membership => named::<groups::Membership>(schemas),
        Operation::Statistics => named::<statistics::Statistics>(schemas),
        Operation::ChannelStatistics => named::<statistics::ChannelStatistics>(schemas),
        Operation::TopicSubscribe => named::<subscribe::Line>(schemas),
        Operation::Add | Operation::Discard | Operation::Flush | Operation::OpenApi => {
            named::<answer::Done>(schemas)
        }
    }
}

/// A reference to a type, which is put among the schemas with all that it
/// refers to.
fn named<T: ToSchema>(schemas: &mut Schemas) -> Ref {
    let name = T::name();
    let mut behind = Vec::new();
    T::schemas(&mut behind);
    schemas.extend(behind);
    schemas.insert(name.to_string(), <T as PartialSchema>::schema());
    Ref::from_schema_name(name)
}

fn parameters(route: &Route) -> Vec<Parameter> {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let in_path = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(text()))
                .build()
        });
    let mut parameters: Vec<_> = in_path.collect();
    let query = |name: &str, meaning: &str, schema: ObjectBuilder| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(meaning))
            .schema(Some(schema.build()))
            .build()
    };
    if matches!(route.operation, Operation::Groups | Operation::Members) {
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(u32::try_from(LIMIT_MAX).unwrap_or(u32::MAX)));
        parameters.push(query(
            "limit",
            "How many to show; 100 if it is left out.",
            limit,
        ));
    }
    if route.operation == Operation::Groups {
        let name = ObjectBuilder::new().schema_type(Type::String);
        parameters.push(query("after", "Show those behind this name.", name));
    }
    parameters
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        let document: Value = serde_json::from_slice(&text()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        let mut used: Vec<&str> = found
            .iter()
            .map(|path| path.strip_prefix("#/components/schemas/").unwrap())
            .collect();
        used.sort_unstable();
        used.dedup();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let known: Vec<&str> = schemas.keys().map(String::as_str).collect();
        assert_eq!(used, known);
    }

    #[test]
    fn every_route_is_in_the_document() {
        let document: Value = serde_json::from_slice(&text()).unwrap();
        for route in ROUTES {
            let method = route.method.as_str().to_lowercase();
            let operation = &document["paths"][route.path][method];
            assert_eq!(
                operation["operationId"],
                route.operation.id(),
                "{}",
                route.path
            );
            let is_open = operation["security"] == serde_json::json!([{}]);
            assert_eq!(is_open, route.operation == Operation::OpenApi);
        }
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["paths"].as_object().unwrap().len(), ROUTES.len());
    }
}
